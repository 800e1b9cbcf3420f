#ifndef LOCAL_BACKEND_IMAGES_BUSYBOX_LAYER_H_
#define LOCAL_BACKEND_IMAGES_BUSYBOX_LAYER_H_

#include <string>

#include "absl/status/status.h"

namespace contree {

// Fills the empty directory `layer` with a small root file system: a statically linked busybox
// under the names of all its applets, and the files that programs expect in /etc. It needs no
// network and a few milliseconds. FailedPrecondition: `busybox` is not there or does not run; the
// message says what to install.
absl::Status MakeBusyboxLayer(const std::string& layer, const std::string& busybox);

}  // namespace contree

#endif  // LOCAL_BACKEND_IMAGES_BUSYBOX_LAYER_H_
