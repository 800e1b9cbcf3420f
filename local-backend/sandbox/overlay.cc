#include "local-backend/sandbox/overlay.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>

#include "absl/base/const_init.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "common/status/status_macros.h"

namespace contree {
namespace {

// The newest messages of the kernel about this mount; each read gives one.
std::string KernelMessages(int context) {
  std::string text;
  char buffer[1024];
  ssize_t got;
  while ((got = read(context, buffer, sizeof buffer)) > 0) {
    absl::StrAppend(&text, text.empty() ? " (" : "; ", absl::string_view(buffer, got));
  }
  if (text.empty()) return text;
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return absl::StrCat(text, ")");
}

absl::Status MountError(int context, absl::string_view step, int error) {
  return absl::FailedPreconditionError(
      absl::StrCat("the kernel refuses an overlay mount in a user namespace, at ", step,
                   KernelMessages(context), ": ", absl::ErrnoToStatus(error, "").message(),
                   "; it needs Linux 5.11 or later and a state directory on a file system with "
                   "extended attributes and d_type "
                   "(ext4, xfs with ftype=1, btrfs, tmpfs from 6.6), not itself an overlay"));
}

absl::Status SetString(int context, const char* key, const std::string& value) {
  if (fsconfig(context, FSCONFIG_SET_STRING, key, value.c_str(), 0) == 0) return absl::OkStatus();
  return MountError(context, key, errno);
}

// Since Linux 6.5 overlay has parameters of its own, and an unknown one is refused at once. Before,
// any is taken as it comes and refused at the end, with a line in the kernel's log, and a value has
// at most 255 bytes.
bool KernelTakesLayersOneByOne() {
  static const bool takes = [] {
    const UniqueFd context(fsopen("overlay", FSOPEN_CLOEXEC));
    return context.is_open() &&
           fsconfig(context.get(), FSCONFIG_SET_FLAG, "no_such_parameter", nullptr, 0) != 0;
  }();
  return takes;
}

bool IsReadOnly(const OverlayMount& overlay) { return overlay.upper.empty(); }

std::vector<std::string> AtLeastTwo(const OverlayMount& overlay) {
  std::vector<std::string> layers = overlay.layers;
  // Topmost stays the image's own layer: the root takes its mode and owner from there.
  if (IsReadOnly(overlay) && layers.size() == 1) layers.push_back(overlay.empty_directory);
  return layers;
}

}  // namespace

absl::StatusOr<UniqueFd> MountOverlay(const OverlayMount& overlay) {
  const std::vector<std::string> layers = AtLeastTwo(overlay);
  if (layers.size() > kMaxOverlayLayers) {
    return absl::ResourceExhaustedError(absl::StrCat("the image has ", layers.size(),
                                                     " layers; the kernel stacks no more than ",
                                                     kMaxOverlayLayers));
  }
  if (!KernelTakesLayersOneByOne()) return MountOverlayByOptionText(overlay);
  const UniqueFd context(fsopen("overlay", FSOPEN_CLOEXEC));
  if (!context.is_open()) return MountError(-1, "fsopen", errno);
  // Marks in user.overlay.*: those in trusted.overlay.* are not for a user namespace.
  if (fsconfig(context.get(), FSCONFIG_SET_FLAG, "userxattr", nullptr, 0) != 0) {
    return MountError(context.get(), "userxattr", errno);
  }
  for (const std::string& layer : layers) {
    if (fsconfig(context.get(), FSCONFIG_SET_STRING, "lowerdir+", layer.c_str(), 0) != 0) {
      return MountError(context.get(), absl::StrCat("lowerdir+ ", layer), errno);
    }
  }
  unsigned attributes = MOUNT_ATTR_NODEV;
  if (IsReadOnly(overlay)) {
    attributes |= MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
  } else {
    RETURN_IF_ERROR(SetString(context.get(), "upperdir", overlay.upper));
    RETURN_IF_ERROR(SetString(context.get(), "workdir", overlay.work));
    // Unmounting must not wait for the disk: who publishes a layer syncs it.
    if (fsconfig(context.get(), FSCONFIG_SET_FLAG, "volatile", nullptr, 0) != 0) {
      return MountError(context.get(), "volatile", errno);
    }
  }
  if (fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return MountError(context.get(), "create", errno);
  }
  UniqueFd mounted(fsmount(context.get(), FSMOUNT_CLOEXEC, attributes));
  if (!mounted.is_open()) return MountError(context.get(), "fsmount", errno);
  return mounted;
}

absl::StatusOr<UniqueFd> MountOverlayByOptionText(const OverlayMount& overlay) {
  std::string options =
      absl::StrCat("userxattr,lowerdir=", absl::StrJoin(AtLeastTwo(overlay), ":"));
  unsigned long flags = MS_NODEV;
  if (IsReadOnly(overlay)) {
    flags |= MS_RDONLY | MS_NOSUID | MS_NOEXEC;
  } else {
    absl::StrAppend(&options, ",volatile,upperdir=", overlay.upper, ",workdir=", overlay.work);
  }
  // The kernel would cut the text there and complain about something else.
  if (options.size() >= static_cast<size_t>(getpagesize())) {
    return absl::ResourceExhaustedError(
        absl::StrCat("this kernel (before 6.5) cannot stack the image's ", overlay.layers.size(),
                     " layers; use a newer kernel, or images with fewer layers"));
  }
  const char* const place = overlay.empty_directory.c_str();
  static absl::Mutex attaching(absl::kConstInit);  // one at a time: they all use the same place
  const absl::MutexLock lock(&attaching);
  if (mount("overlay", place, "overlay", flags, options.c_str()) != 0) {
    return MountError(-1, "mount", errno);
  }
  UniqueFd detached(open_tree(AT_FDCWD, place, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  const int error = errno;
  umount2(place, MNT_DETACH);
  if (!detached.is_open()) return MountError(-1, "open_tree", error);
  return detached;
}

}  // namespace contree
