#ifndef STANDALONE_CLIENT_CONFIG_CONFIG_FILE_H_
#define STANDALONE_CLIENT_CONFIG_CONFIG_FILE_H_

// Configuration files of other programs: read whole, replaced in one step, never without a copy of
// what was there.

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace contree::standalone {

struct ConfigFile {
  std::string path;       // where it really is: links are followed
  std::string text = {};  // empty if there is no file yet
  bool exists = false;
  mode_t mode = 0600;
  uid_t owner = 0;
  gid_t group = 0;
};

// A missing file is no error. FailedPrecondition: no regular file, larger than 32 MiB, or a link
// that leads nowhere. PermissionDenied and others: what the system said.
absl::StatusOr<ConfigFile> ReadConfigFile(const std::string& path);

// Puts `text` in the place of what was read; mode and owner stay. Returns the path of the copy of
// the old content beside it; "" if there was no file. Missing directories are made, 0700.
// FailedPrecondition: the file is read-only. Aborted: somebody changed it since it was read.
// PermissionDenied and others: what the system said; the file is as it was.
absl::StatusOr<std::string> ReplaceConfigFile(const ConfigFile& read, absl::string_view text);

}  // namespace contree::standalone

#endif  // STANDALONE_CLIENT_CONFIG_CONFIG_FILE_H_
