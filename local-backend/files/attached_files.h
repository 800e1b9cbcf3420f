#ifndef LOCAL_BACKEND_FILES_ATTACHED_FILES_H_
#define LOCAL_BACKEND_FILES_ATTACHED_FILES_H_

// Lays uploaded files into a directory that will stand above an image's layers, as a command in the
// image would have put them there. Thread-safe.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "local-backend/images/file_attributes.h"

namespace contree {

struct AttachedFile {
  std::string path;  // in the image, absolute; symbolic links among its directories are followed
  std::string
      source;  // on this machine: a file of mode 0644 that belongs to uid 0 and never changes
  std::string content;  // a name for the bytes: the same bytes have the same name
  uint32_t mode = 0644;
  uint32_t uid = 0;
  uint32_t gid = 0;
};

enum class AttachBy {
  // Every file is a copy of its own (shared extents where the file system can). For a directory
  // that commands write to, or that is kept.
  kCopy,
  // Hard links where mode and owner fit. Only for a directory that nobody can write to and that
  // goes away after the run: in an image that is kept, two files could otherwise turn out to be
  // one, which `cp -a` would carry on.
  kLink,
};

// Where files go above an image. Thread-safe once made.
class AttachmentPlan {
 public:
  // `image` is the descriptor of the image's root; `files` must outlive the plan. Missing
  // directories are to be made, 0755 and root's; those of the image keep how they look. A file or
  // symbolic link of the image at the same path will be hidden. FailedPrecondition: a path leads
  // through something that is no directory, or to one.
  static absl::StatusOr<AttachmentPlan> Make(const std::vector<AttachedFile>& files, int image);

  // SHA-256, in hex, of all that Place makes by copies, and of how the image's root looks: plans of
  // one digest make the same.
  std::string Digest() const;

  // ResourceExhausted: the disk is full. NotFound: a source is gone.
  absl::Status Place(const std::string& directory, AttachBy by) const;

 private:
  class DirectoryFinder;
  struct Directory {
    std::string path;  // relative and without links; the root is ""
    bool is_new = true;
    uint32_t mode = 0755;
    uint32_t uid = 0;
    uint32_t gid = 0;
    ExtendedAttributes attributes = {};
  };
  // A file and where it goes.
  struct Placement {
    const AttachedFile* file = nullptr;
    std::string directory;
    std::string name;
    bool may_be_link = false;
  };
  absl::Status PlaceShare(const Placement* begin, const Placement* end, int target,
                          AttachBy by) const;

  Directory root_;
  std::vector<Directory> directories_;  // each after those above it
  std::vector<Placement> placements_;   // by directory and name
};

// Makes a plan and carries it out.
absl::Status AttachFiles(const std::vector<AttachedFile>& files, int image,
                         const std::string& directory, AttachBy by);

}  // namespace contree

#endif  // LOCAL_BACKEND_FILES_ATTACHED_FILES_H_
