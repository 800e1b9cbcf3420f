#ifndef LOCAL_BACKEND_IMAGES_IMAGE_STORE_H_
#define LOCAL_BACKEND_IMAGES_IMAGE_STORE_H_

// Images of this machine: immutable stacks of layers under a UUID, with tags, which can be moved.
// Layers are directories, layers/N; what names them is in images.db. Thread-safe.
//
// An image is one project's, or everybody's (kPublic); to others it is not there. Tags are names
// within a project; everybody's tags are seen too, where the project has none of that name. The
// project "" is that of a backend with one project.
//
// A layer is on the disk before the row that names it is, and a row is gone before its layer goes:
// whenever the process or the power ends, each image that images.db knows is whole, and what else
// lies there is removed at the next start. Images of many layers are flattened in the background:
// their layers are exchanged for one that holds the same.

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/files/unique_fd.h"
#include "common/sqlite/database.h"
#include "local-backend/images/image_readers.h"
#include "local-backend/images/tree_size.h"
#include "local-backend/images/use_table.h"
#include "local-backend/images/work_queue.h"
#include "local-backend/upkeep/disk_budget.h"

namespace contree {

// An image of more layers than this is flattened in the background; of more than the second, it is
// before anything is run on it. (Kernels before 6.5 stack about 120 of them, others 500.)
inline constexpr size_t kManyLayers = 64;
inline constexpr size_t kTooManyLayers = 100;

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
  absl::Time used_at = {};  // made, read or run last, to an hour
  // While it, or a copy, lives, neither the image nor its layers are removed. None: of List.
  Lease lease = nullptr;
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

// A layer that stays while this lives.
struct HeldLayer {
  std::string name = "";  // "layers/N"; empty: none
  Lease lease = nullptr;
  int64_t file_bytes = 0;  // of its regular files, where they were counted
};

// Directories that a run writes to; `Discard` or `Commit` ends it.
struct RunDirectory {
  std::string path = "";  // runs/N
  std::string upper = "";
  std::string work = "";
  std::vector<std::string> layers = {};  // what it stands on, as paths that can be mounted
  Lease lease = nullptr;                 // of those
  HeldLayer added = {};  // the topmost of them, where the image has it not (AddLayer)
};

struct CollectOptions {
  // Images without a tag go that nobody made, read or ran since then, the longest unused first...
  absl::Time untagged_unused_since = absl::InfinitePast();
  int max_images = 1000;  // ... at most so many
  // Layers of imports go that belong to no image and are older.
  absl::Time unused_layers_before = absl::InfinitePast();
};

struct Collected {
  int images = 0;
  int layers = 0;
};

class ImageStore {
 public:
  // Opens or makes the store in `directory`, and removes what an earlier process left: what its
  // runs wrote, and layers that no row came to name. `budget`, if any, is asked before a run or a
  // layer begins, and outlives this. FailedPrecondition: the file system keeps no extended
  // attributes. That, DataLoss and others: images.db cannot be used.
  static absl::StatusOr<std::unique_ptr<ImageStore>> Open(const std::string& directory,
                                                          DiskBudget* budget = nullptr);
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

  // Directories for a run on the image, whose root looks as the image's does. ResourceExhausted:
  // there is no space; the message says what to do.
  absl::StatusOr<RunDirectory> NewRun(const Image& parent);
  // Puts the layer between the image and what the run writes, unless it changes nothing of the
  // image; Commit makes it part of the new one. False: it cannot be, for the image has it below
  // others that changed what it holds, and no overlay takes a layer twice.
  absl::StatusOr<bool> AddLayer(const HeldLayer& layer, const Image& parent, RunDirectory& run);
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

  // Layers that are made once and shared. `source` names what a layer was made from: of an import,
  // the blob and all that lies below it, of a run's files, all of them.
  //
  // The layer that was published under this name; none where there is none (any more).
  absl::StatusOr<HeldLayer> FindLayer(const std::string& source);
  // Directories for what goes on top of `layers` ("layers/N", topmost first; none: the bottom),
  // with a root like theirs.
  absl::StatusOr<RunDirectory> NewLayer(const std::vector<std::string>& layers);
  // Takes what was made in `run` over as a layer; Discard the rest. Where `source` was published
  // meanwhile, it is that one.
  absl::StatusOr<HeldLayer> PublishLayer(const RunDirectory& run, const std::string& source);
  // Makes the image, unless there is one with this uuid, and gives it its tag, if any.
  // InvalidArgument: not the form of a tag.
  absl::Status PublishImage(const Image& image);

  // Removes images that are not wanted any more, and layers that none needs; never what a Lease
  // holds, an image with a tag, or a layer of an image that stays.
  absl::StatusOr<Collected> Collect(const CollectOptions& options);
  // Makes the layers of the image fewer where there are many, for it and for all that stand on the
  // same ones. It stays the same image. NotFound: no such image. ResourceExhausted: the disk is
  // full.
  absl::Status Flatten(const std::string& uuid);
  // Waits until what was to be removed or flattened so far has been.
  void FinishBackgroundWork();
  // Compares images.db with what lies on the disk, every layer with what it was made with, while
  // nothing runs. A line for each thing that is wrong. It looks at every file.
  absl::StatusOr<std::vector<std::string>> Check();

  // As DiskBudget's: whether there is room for so many bytes.
  absl::Status CheckRoom(int64_t bytes = 0) const {
    return budget_ == nullptr ? absl::OkStatus() : budget_->CheckRoom(bytes);
  }

  // Looks into the image. FailedPrecondition: its layers cannot be mounted.
  absl::StatusOr<std::shared_ptr<const ImageReader>> Reader(const Image& image) {
    return readers_.Open(LayerPaths(image), image.lease);
  }

  // An empty directory of the store, for mounts.
  const std::string& empty_directory() const { return empty_directory_; }
  // `layers` of an image as paths that can be mounted.
  std::vector<std::string> LayerPaths(const Image& image) const;

 private:
  ImageStore(std::string directory, std::unique_ptr<sqlite::Database> database, DiskBudget* budget);
  absl::Status ClearLeftovers();
  using OnImage = absl::FunctionRef<void(const sqlite::Row&)>;
  using ReadImage = absl::FunctionRef<absl::Status(sqlite::Connection&, OnImage)>;
  // What `read` finds, with a lease.
  absl::StatusOr<Image> Hold(const std::string& reference, ReadImage read);
  // Whosever it is; without its tag.
  absl::StatusOr<Image> GetAnybodys(const std::string& uuid);
  void NoteUse(Image& image);
  // Moves the directory to its place and sees that it is on the disk; nothing names it yet.
  absl::StatusOr<HeldLayer> TakeOver(const std::string& path);
  absl::Status InsertLayer(sqlite::Connection& connection, const std::string& layer,
                           const std::string& source, const TreeSize& size);
  absl::Status InsertImage(sqlite::Connection& connection, const Image& image);
  absl::StatusOr<RunDirectory> NewDirectories(const std::vector<std::string>& layers, Lease lease);
  void FlattenInBackground(const std::string& uuid);
  // How many of the lowest layers stay as they are.
  absl::StatusOr<size_t> CountSharedLayers(const std::vector<std::string>& stack);
  absl::Status ReplaceLayers(const std::vector<std::string>& old_layers,
                             const std::vector<std::string>& new_layers, const TreeSize& size);
  // Out of the way at once, from the disk in the background.
  void Remove(const std::string& path);
  void RemoveInBackground(const std::string& path);
  std::string Path(absl::string_view relative) const;

  const std::string directory_;
  const std::string empty_directory_;
  const std::unique_ptr<sqlite::Database> database_;
  DiskBudget* const budget_;
  UniqueFd layers_fd_;
  UseTable use_table_;
  ImageReaders readers_;
  std::atomic<int64_t> next_run_ = 1;
  std::atomic<int64_t> next_layer_ = 1;
  std::atomic<bool> closing_ = false;
  absl::Mutex flattening_;  // guards nothing: two at once would do the same work twice
  WorkQueue remover_;
  WorkQueue flattener_;
};

// Whether `tag` may name an image: at most 256 of a-z A-Z 0-9 _ - and the separators : / . between
// them.
bool IsTag(absl::string_view tag);
// Whether some tag could begin like that.
bool IsTagPrefix(absl::string_view prefix);

}  // namespace contree

#endif  // LOCAL_BACKEND_IMAGES_IMAGE_STORE_H_
