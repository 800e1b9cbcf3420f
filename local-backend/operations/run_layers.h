#ifndef LOCAL_BACKEND_OPERATIONS_RUN_LAYERS_H_
#define LOCAL_BACKEND_OPERATIONS_RUN_LAYERS_H_

// What lies below a run: its image, the files that it is given, and what this machine adds.
// Thread-safe.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "local-backend/files/attached_files.h"
#include "local-backend/images/image_store.h"

namespace contree {

// What remains of a run.
enum class Keeping { kImage, kNothing };

// The layers that the run's sandbox stands on, topmost first, as paths that can be mounted. `run`
// is what ImageStore::NewRun made for `image`. Few files are laid into what the run writes, or into
// a layer that goes with it. Many are laid into a layer that is kept: the next run with the same
// ones, of this image or of one that looks the same there, takes it as it is. `resolv_conf` is the
// file that is shown as /etc/resolv.conf and does not become part of an image; empty: none.
// FailedPrecondition: a file's path leads through something that is no directory.
// ResourceExhausted: the disk is full.
absl::StatusOr<std::vector<std::string>> LayersOfRun(const std::vector<AttachedFile>& files,
                                                     Keeping keeping, const Image& image,
                                                     const std::string& resolv_conf,
                                                     ImageStore& images, RunDirectory& run);

}  // namespace contree

#endif  // LOCAL_BACKEND_OPERATIONS_RUN_LAYERS_H_
