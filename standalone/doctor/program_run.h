#ifndef STANDALONE_DOCTOR_PROGRAM_RUN_H_
#define STANDALONE_DOCTOR_PROGRAM_RUN_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace contree::standalone {

struct ProgramEnd {
  int exit_code = 0;        // 128 + the signal that ended it
  std::string output = {};  // of both streams, the first 64 KiB
};

// Runs a program, looked up on the PATH, to its end. NotFound: there is none. DeadlineExceeded: it
// was killed because it did not end in time. Others: what the system said.
absl::StatusOr<ProgramEnd> RunProgram(std::vector<std::string> words, absl::Duration timeout);

// What `trial` comes to in a child process, which it may change for good. Call it while the process
// has one thread. Internal: the child died; DeadlineExceeded: it was killed.
absl::Status TryInChild(const std::function<absl::Status()>& trial, absl::Duration timeout);

}  // namespace contree::standalone

#endif  // STANDALONE_DOCTOR_PROGRAM_RUN_H_
