#include "local-backend/sandbox/tun_device.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"

namespace contree {
namespace {

constexpr char kDirectory[] = "/dev/net";
constexpr char kDevice[] = "/dev/net/tun";

absl::Status Failed(const char* step) {
  const int error = errno;
  return absl::FailedPreconditionError(
      absl::StrCat("only root may open ", kDevice, ", and one for sandboxes cannot be made, at ",
                   step, ": ", absl::ErrnoToStatus(error, "").message()));
}

}  // namespace

absl::Status MakeTunDeviceReachable() {
  struct stat info;
  if (geteuid() != 0 || stat(kDevice, &info) != 0 || (info.st_mode & 0006) == 0006) {
    return absl::OkStatus();
  }
  if (unshare(CLONE_NEWNS) != 0) return Failed("unshare");
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return Failed("private");
  if (mount("tmpfs", kDirectory, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755,size=64k") != 0) {
    return Failed("tmpfs");
  }
  // The umask does not take from chmod.
  if (mknod(kDevice, S_IFCHR | 0666, info.st_rdev) != 0 || chmod(kDevice, 0666) != 0) {
    const absl::Status status = Failed("mknod");
    umount2(kDirectory, MNT_DETACH);
    return status;
  }
  return absl::OkStatus();
}

}  // namespace contree
