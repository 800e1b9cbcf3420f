#include "local-backend/sandbox/kvm_device.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace contree {
namespace {

constexpr char kDevice[] = "/dev/kvm";

absl::Status Failed(const char* step) {
  const int error = errno;
  return absl::FailedPreconditionError(
      absl::StrCat("only root may open ", kDevice, ", and one for sandboxes cannot be made, at ",
                   step, ": ", absl::ErrnoToStatus(error, "").message()));
}

}  // namespace

absl::Status MakeKvmDeviceReachable(const std::string& directory) {
  struct stat info;
  if (geteuid() != 0 || stat(kDevice, &info) != 0 || (info.st_mode & 0006) == 0006) {
    return absl::OkStatus();
  }
  if (unshare(CLONE_NEWNS) != 0) return Failed("unshare");
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return Failed("private");
  if (mount("tmpfs", directory.c_str(), "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=700,size=64k") != 0) {
    return Failed("tmpfs");
  }
  // The bind mount stays without it.
  const absl::Cleanup unmount = [&directory] { umount2(directory.c_str(), MNT_DETACH); };
  const std::string node = absl::StrCat(directory, "/kvm");
  // The umask does not take from chmod.
  if (mknod(node.c_str(), S_IFCHR | 0666, info.st_rdev) != 0 || chmod(node.c_str(), 0666) != 0) {
    return Failed("mknod");
  }
  if (mount(node.c_str(), kDevice, nullptr, MS_BIND, nullptr) != 0) return Failed("bind");
  return absl::OkStatus();
}

}  // namespace contree
