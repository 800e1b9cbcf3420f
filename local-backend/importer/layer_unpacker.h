#ifndef LOCAL_BACKEND_IMPORTER_LAYER_UNPACKER_H_
#define LOCAL_BACKEND_IMPORTER_LAYER_UNPACKER_H_

// Unpacks one layer of an OCI image (a tar archive, plain or compressed) on top of the layers below
// it. It is written through a mount of the merged tree, so the kernel does what is easily got
// wrong: missing parents get the attributes that they have below, links are resolved inside the
// image and lead nowhere else, a changed kind of file hides what was there.
//
// The archive is hostile: nothing in it reaches outside of the layer, no device is made, no mark of
// overlayfs is taken over, and what it may unpack to is bounded. Thread-safe.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace contree {

struct LayerUnpack {
  int archive_fd = -1;              // read from its current place to its end
  std::vector<std::string> layers;  // below, topmost first; none: this is the lowest
  // Empty directories on one file system; what the layer holds is in `upper` afterwards.
  std::string upper;
  std::string work;
  std::string empty_directory;  // for mounts, as in OverlayMount
  int64_t max_bytes = 0;        // of all files together
  // Asked now and then whether to go on.
  std::function<bool()> is_cancelled = [] { return false; };
};

// The bytes of the files that were unpacked. InvalidArgument: the archive is damaged or holds what
// no layer may; the message names the entry. ResourceExhausted: it unpacks to more than max_bytes,
// or the disk is full. Cancelled. Whatever it fails with, `upper` may hold a part of it.
absl::StatusOr<int64_t> UnpackLayer(const LayerUnpack& unpack);

}  // namespace contree

#endif  // LOCAL_BACKEND_IMPORTER_LAYER_UNPACKER_H_
