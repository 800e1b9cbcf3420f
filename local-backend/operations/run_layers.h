#ifndef LOCAL_BACKEND_OPERATIONS_RUN_LAYERS_H_
#define LOCAL_BACKEND_OPERATIONS_RUN_LAYERS_H_

// What lies below a run: its image, the files that it is given, and what this machine adds.

#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "local-backend/files/attached_files.h"
#include "local-backend/images/image_store.h"

namespace contree {

// What remains of a run.
enum class Keeping { kImage, kNothing };

// Thread-safe.
class RunLayers {
 public:
  // `resolv_conf` is the file that runs with a network see as /etc/resolv.conf, which does not
  // become part of an image; empty: none. `images` outlives this.
  RunLayers(ImageStore& images, std::string resolv_conf)
      : images_(images), resolv_conf_(std::move(resolv_conf)) {}

  struct Stack {
    std::vector<std::string> layers;    // topmost first, as paths that can be mounted
    std::shared_ptr<const void> lease;  // of those that are not the image's nor the run's
  };
  // What the run's sandbox stands on. `run` is what ImageStore::NewRun made for `image`. Few files
  // are laid into what the run writes, or into a layer that goes with it. Many are laid into a
  // layer that is kept: the next run with the same ones, of this image or of one that looks the
  // same there, takes it as it is. FailedPrecondition: a file's path leads through something that
  // is no directory. ResourceExhausted: the disk is full.
  absl::StatusOr<Stack> For(const std::vector<AttachedFile>& files, Keeping keeping,
                            const Image& image, bool with_network, RunDirectory& run);

 private:
  // One that runs share, and that no image has.
  class PassingLayer;
  using LayerRef = std::shared_ptr<const PassingLayer>;

  absl::StatusOr<bool> AddKeptLayer(const std::vector<AttachedFile>& files, const Image& image,
                                    RunDirectory& run);
  absl::StatusOr<LayerRef> NetworkLayer(const std::vector<std::string>& layers);
  absl::StatusOr<LayerRef> MakeNetworkLayer(const std::vector<std::string>& layers);

  ImageStore& images_;
  const std::string resolv_conf_;
  absl::Mutex mutex_;
  // By what they lie on, the last used first.
  std::list<std::pair<std::vector<std::string>, LayerRef>> network_layers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace contree

#endif  // LOCAL_BACKEND_OPERATIONS_RUN_LAYERS_H_
