#ifndef LOCAL_BACKEND_SANDBOX_OVERLAY_H_
#define LOCAL_BACKEND_SANDBOX_OVERLAY_H_

// Overlay mounts that are attached nowhere: held by a descriptor, seen by no other process, gone
// when it is closed. Thread-safe.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/files/unique_fd.h"

namespace contree {

// The kernel stacks no more.
inline constexpr int kMaxOverlayLayers = 500;

struct OverlayMount {
  std::vector<std::string> layers;  // topmost first, at least one
  // What is written goes here, on the file system of `work`, an empty directory. The root takes the
  // mode and owner of `upper`. Both empty: a read-only mount.
  std::string upper;
  std::string work;
  // An empty directory of ours: the second layer of a read-only mount that has just one (overlays
  // have two at least), and where kernels before 6.5, which cannot take layers one by one, attach
  // the mount for a moment.
  std::string empty_directory;
};

// Paths should be short: kernels before 6.5 take all of them in one page of text.
// FailedPrecondition: this kernel or file system refuses overlays in a user namespace.
// ResourceExhausted: too many layers.
absl::StatusOr<UniqueFd> MountOverlay(const OverlayMount& overlay);

// How kernels before 6.5 do it; MountOverlay chooses. Here for its test.
absl::StatusOr<UniqueFd> MountOverlayByOptionText(const OverlayMount& overlay);

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_OVERLAY_H_
