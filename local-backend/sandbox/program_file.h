#ifndef LOCAL_BACKEND_SANDBOX_PROGRAM_FILE_H_
#define LOCAL_BACKEND_SANDBOX_PROGRAM_FILE_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/files/unique_fd.h"

namespace contree {

// A memory file with a program that is carried inside this one, sealed: nobody can change it, also
// not a command that finds it under /proc. Thread-safe.
absl::StatusOr<UniqueFd> MakeProgramFile(const char* name, absl::string_view bytes);

// The same file with a position of its own: who reads it, reads it to its end. Thread-safe.
absl::StatusOr<UniqueFd> OpenAgain(const UniqueFd& file);

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_PROGRAM_FILE_H_
