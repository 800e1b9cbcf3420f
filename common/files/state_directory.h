#ifndef COMMON_FILES_STATE_DIRECTORY_H_
#define COMMON_FILES_STATE_DIRECTORY_H_

// Where a program keeps what must outlive it. Directories are 0700, files 0600, whatever the umask.

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace contree {

// $XDG_STATE_HOME/contree-mcp, else $HOME/.local/state/contree-mcp, else /var/lib/contree-mcp.
std::string DefaultStateDirectory();

// Makes `path` and its missing parents, 0700, and tightens an existing one of ours to 0700. Returns
// the absolute path. InvalidArgument: empty path. FailedPrecondition: something in the way is no
// directory. PermissionDenied and others: what the system said.
absl::StatusOr<std::string> MakePrivateDirectory(absl::string_view path);

// The whole content. NotFound: no such file. ResourceExhausted: more than max_bytes.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes);

// Replaces the file in one step: a reader sees the old content or the new one. Mode 0600.
absl::Status WritePrivateFile(const std::string& path, absl::string_view content);

}  // namespace contree

#endif  // COMMON_FILES_STATE_DIRECTORY_H_
