#ifndef LOCAL_BACKEND_IMAGES_IMAGE_READER_H_
#define LOCAL_BACKEND_IMAGES_IMAGE_READER_H_

// Looks into an image without running anything: its layers are mounted read-only, out of everyone's
// sight, and paths are resolved below that root by the kernel, symbolic links included.
// Thread-safe.

#include <sys/stat.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/files/unique_fd.h"
#include "local-backend/images/use_table.h"

namespace contree {

struct FileEntry {
  std::string name;
  struct stat info = {};
  std::string target;  // of a symbolic link
};

class ImageReader {
 public:
  // `lease`, which keeps the layers where they are, is held as long as the reader lives.
  // FailedPrecondition: the layers cannot be mounted.
  static absl::StatusOr<ImageReader> Open(const std::vector<std::string>& layers,
                                          const std::string& empty_directory,
                                          Lease lease = nullptr);

  // The entries of a directory, by name. NotFound: no such path. FailedPrecondition: not a
  // directory, or a loop of symbolic links.
  absl::StatusOr<std::vector<FileEntry>> List(const std::string& path) const;

  // A regular file opened for reading. NotFound: no such path. FailedPrecondition: no regular file,
  // or a loop.
  absl::StatusOr<UniqueFd> OpenFile(const std::string& path) const;

  // What a path leads to, links followed, as an O_PATH descriptor. NotFound: no such path.
  // FailedPrecondition: a loop.
  absl::StatusOr<UniqueFd> OpenPath(const std::string& path) const;

  // What the image's /etc/passwd or /etc/group call a uid or gid: by the first line for it; not
  // every id has one.
  using Names = std::map<uint32_t, std::string>;
  Names UserNames() const { return ReadNames("/etc/passwd"); }
  Names GroupNames() const { return ReadNames("/etc/group"); }

 private:
  ImageReader(UniqueFd root, Lease lease) : lease_(std::move(lease)), root_(std::move(root)) {}
  absl::StatusOr<UniqueFd> Resolve(const std::string& path, int flags) const;
  Names ReadNames(const std::string& path) const;

  Lease lease_;
  UniqueFd root_;
};

}  // namespace contree

#endif  // LOCAL_BACKEND_IMAGES_IMAGE_READER_H_
