#ifndef LOCAL_BACKEND_IMAGES_IMAGE_STORE_H_
#define LOCAL_BACKEND_IMAGES_IMAGE_STORE_H_

// Images of this machine: immutable stacks of layers under a UUID, with tags, which can be moved.
// Layers are directories, layers/N; what names them is in images.db. Thread-safe.
//
// An image is one project's, or everybody's (kPublic); to others it is not there. Tags are names
// within a project; everybody's tags are seen too, where the project has none of that name. The
// project "" is that of a backend with one project.

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/sqlite/database.h"

namespace contree {

using Environment = std::map<std::string, std::string>;

// Whose an image is that all projects see and none may change; no project has this name.
inline constexpr char kPublic[] = "*";

struct Image {
  std::string uuid;
  std::string tag;  // as the project that asks sees it, the latest of several; empty: none
  absl::Time created_at;
  std::string operation_uuid;       // that made it; empty: none
  std::vector<std::string> layers;  // directories relative to the store's, topmost first
  Environment environment;          // that every command of the image gets
  std::string project = "";
};

struct ImageFilter {
  int limit = 100;
  int offset = 0;
  bool tagged = false;     // only images with a tag
  std::string tag_prefix;  // the image with exactly this tag comes first
  std::string uuid_prefix;
  absl::Time since = absl::InfinitePast();    // inclusive
  absl::Time until = absl::InfiniteFuture();  // inclusive
  std::string project = "";
};

// Directories that a run writes to; `Discard` or `Commit` ends it.
struct RunDirectory {
  std::string path;  // runs/N
  std::string upper;
  std::string work;
};

class ImageStore {
 public:
  // Opens or makes the store in `directory`, and removes what runs of an earlier process left.
  // DataLoss, FailedPrecondition and others: images.db cannot be used.
  static absl::StatusOr<std::unique_ptr<ImageStore>> Open(const std::string& directory);
  ~ImageStore();

  // Makes the image tag:busybox:latest, unless the store holds an image already.
  // FailedPrecondition: busybox-static is not installed.
  absl::Status Seed(const std::string& busybox);

  // NotFound: no such image. InvalidArgument: an empty reference. `reference` is a UUID or
  // tag:NAME.
  absl::StatusOr<Image> Resolve(const std::string& reference, const std::string& project = "");
  absl::StatusOr<Image> Get(const std::string& uuid, const std::string& project = "");
  // Newest first; an image with several tags comes once with each.
  absl::StatusOr<std::vector<Image>> List(const ImageFilter& filter);

  // Gives the image this tag of the project, taking it from the project's image that has it.
  // NotFound: no such image. InvalidArgument: not the form of a tag.
  absl::StatusOr<Image> SetTag(const std::string& uuid, const std::string& tag,
                               const std::string& project = "");
  // Takes the project's tag from the image. `tag` empty: all that it has. NotFound: no such image.
  // FailedPrecondition: the project gave it no such tag.
  absl::Status RemoveTag(const std::string& uuid, const std::string& tag,
                         const std::string& project = "");

  // Directories for a run on the image, whose root looks as the image's does.
  absl::StatusOr<RunDirectory> NewRun(const Image& parent);
  // Removes them, in the background.
  void Discard(const RunDirectory& run);

  struct CommitResult {
    std::string image_uuid;
    int64_t layer_bytes = 0;
  };
  // The image after a run: the parent where the run changed nothing, else a new one. Takes the
  // run's directories over. ResourceExhausted: what was written is larger than max_layer_bytes.
  absl::StatusOr<CommitResult> Commit(const RunDirectory& run, const Image& parent,
                                      const Environment& environment,
                                      const std::string& operation_uuid, int64_t max_layer_bytes,
                                      const std::string& project = "");

  // Imports. `source` names what a layer was unpacked from, with all that lies below it: two images
  // with the same base share its layers.
  //
  // The layer ("layers/N") that was published under this name; "" where there is none (any more).
  absl::StatusOr<std::string> FindLayer(const std::string& source);
  // Directories for what goes on top of `layers` ("layers/N", topmost first; none: the bottom),
  // with a root like theirs.
  absl::StatusOr<RunDirectory> NewLayer(const std::vector<std::string>& layers);
  // Takes what was made in `run` over as a layer; Discard the rest. Where `source` was published
  // meanwhile, it is that one.
  absl::StatusOr<std::string> PublishLayer(const RunDirectory& run, const std::string& source);
  // Makes the image, unless there is one with this uuid, and gives it its tag, if any.
  // InvalidArgument: not the form of a tag.
  absl::Status PublishImage(const Image& image);

  // An empty directory of the store, for mounts.
  const std::string& empty_directory() const { return empty_directory_; }
  // `layers` of an image as paths that can be mounted.
  std::vector<std::string> LayerPaths(const Image& image) const;

 private:
  class Remover;

  ImageStore(std::string directory, std::unique_ptr<sqlite::Database> database);
  absl::Status Insert(const Image& image);
  absl::StatusOr<std::string> PublishLayer(const std::string& path, const std::string& source);
  std::string Path(absl::string_view relative) const;

  const std::string directory_;
  const std::string empty_directory_;
  const std::unique_ptr<sqlite::Database> database_;
  std::atomic<int64_t> next_run_ = 1;
  std::unique_ptr<Remover> remover_;
};

// Whether `tag` may name an image: at most 256 of a-z A-Z 0-9 _ - and the separators : / . between
// them.
bool IsTag(absl::string_view tag);
// Whether some tag could begin like that.
bool IsTagPrefix(absl::string_view prefix);

}  // namespace contree

#endif  // LOCAL_BACKEND_IMAGES_IMAGE_STORE_H_
