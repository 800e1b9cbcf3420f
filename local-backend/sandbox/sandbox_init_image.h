#ifndef LOCAL_BACKEND_SANDBOX_SANDBOX_INIT_IMAGE_H_
#define LOCAL_BACKEND_SANDBOX_SANDBOX_INIT_IMAGE_H_

// The program sandbox_init, which is carried inside this one. Thread-safe.

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/files/unique_fd.h"

namespace contree {

absl::string_view SandboxInitBytes();

// A memory file with the program, sealed: nobody can change it, also not a command that finds it
// under /proc.
absl::StatusOr<UniqueFd> MakeSandboxInitFile();

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_SANDBOX_INIT_IMAGE_H_
