#ifndef TESTS_HARNESS_SERVER_PROCESS_H_
#define TESTS_HARNESS_SERVER_PROCESS_H_

// A program of ours as a child process: what it logs, its end, its exit code.

#include <sys/types.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/files/unique_fd.h"

namespace contree::testing_harness {

// The path of a program among the test's data: Program("gateway/contree-gateway").
std::string Program(const std::string& target);

// Thread-safe.
class ServerProcess {
 public:
  // Starts `command` with `environment` added to this process's own. NotFound and others: it cannot
  // be run.
  static absl::StatusOr<std::unique_ptr<ServerProcess>> Start(
      std::vector<std::string> command, const std::map<std::string, std::string>& environment = {});
  ~ServerProcess();  // kills it if it still runs

  // The field of the first log line (a JSON object on stderr) that has it. DeadlineExceeded or
  // Unavailable (the program ended): the message holds all that it wrote.
  absl::StatusOr<std::string> WaitForLogField(const std::string& field,
                                              absl::Duration timeout = absl::Seconds(30));

  // What follows `text` on the first line that has it. Same errors.
  absl::StatusOr<std::string> WaitForText(const std::string& text,
                                          absl::Duration timeout = absl::Seconds(30));

  void Signal(int signal_number) const;
  // Waits for its end; its exit code, or 128 + the signal. DeadlineExceeded.
  absl::StatusOr<int> Wait(absl::Duration timeout = absl::Seconds(30));
  // All that it wrote to stderr so far.
  std::string Output();
  pid_t pid() const { return pid_; }

 private:
  ServerProcess(pid_t pid, UniqueFd output);
  void ReadOutput();

  const pid_t pid_;
  const UniqueFd output_fd_;
  bool waited_ = false;
  absl::Mutex mutex_;
  std::string output_ ABSL_GUARDED_BY(mutex_);
  bool at_end_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread reader_;
};

}  // namespace contree::testing_harness

#endif  // TESTS_HARNESS_SERVER_PROCESS_H_
