#ifndef GATEWAY_WORKSPACE_WORKSPACE_H_
#define GATEWAY_WORKSPACE_WORKSPACE_H_

// The files of the machine that the gateway runs on, as far as tools may touch them: what rsync and
// upload read and download writes.
//
// Over stdio these are the user's own files: the client started this process, as this user. Over
// HTTP they are only what lies below directories that the operator named, resolved by the kernel so
// that neither ".." nor a symbolic link leads out of them.
//
// Immutable after construction, so thread-safe. Errors carry codes whose message is shown as it is:
// InvalidArgument (the path makes no sense), NotFound (nothing is there), FailedPrecondition
// (something is there, but it is of the wrong kind, or out of bounds, or the system refuses it).

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/files/unique_fd.h"

namespace contree::gateway {

// A regular file or a directory, open for reading.
struct HostSource {
  UniqueFd fd;
  std::string path;  // absolute, without symbolic links: one name for one thing
  bool is_directory = false;
  int64_t size = 0;  // of a regular file, when it was opened; 0 also where nobody knows (/proc)
};

// Where a regular file is or may come to be.
struct HostDestination {
  UniqueFd directory;  // exists, open
  std::string name;    // without '/'
  std::string path;    // absolute: the directory's path and the name
};

class Workspace {
 public:
  // None: every path is refused with what the operator has to do.
  Workspace() = default;

  // All that this process may open. A relative path begins at its working directory, "~" is its
  // user's home.
  static Workspace OfUser();

  // Only what is below one of these directories; none: as Workspace(). A relative path begins at
  // the only root. InvalidArgument: a root that is no directory which can be opened.
  static absl::StatusOr<Workspace> Below(const std::vector<std::string>& roots);

  // The rule of this project: over stdio the user's own files, unless roots say less; otherwise
  // only what is below the roots.
  static absl::StatusOr<Workspace> Choose(bool is_stdio, const std::vector<std::string>& roots);

  // Follows symbolic links as far as they may lead.
  absl::StatusOr<HostSource> OpenSource(absl::string_view path) const;

  // Nothing, or a regular file, has to be there; its directory has to exist.
  absl::StatusOr<HostDestination> OpenDestination(absl::string_view path) const;

 private:
  struct Root {
    std::string name;  // as the operator wrote it
    std::string path;  // absolute, without symbolic links
    UniqueFd directory;
  };
  // A path and the directory from which it is resolved.
  struct Place {
    int directory;  // AT_FDCWD or a root's
    std::string path;
  };

  absl::StatusOr<Place> Locate(absl::string_view path) const;
  // nullptr: the path is below none. `rest` becomes the part below the root.
  const Root* FindRoot(absl::string_view path, std::string& rest) const;
  // The descriptor, or -1 and errno.
  UniqueFd Open(const Place& place, int flags) const;
  absl::Status OpenError(absl::string_view path, int error) const;

  bool is_of_user_ = false;
  std::vector<Root> roots_;
};

}  // namespace contree::gateway

#endif  // GATEWAY_WORKSPACE_WORKSPACE_H_
