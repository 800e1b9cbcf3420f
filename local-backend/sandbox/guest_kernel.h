#ifndef LOCAL_BACKEND_SANDBOX_GUEST_KERNEL_H_
#define LOCAL_BACKEND_SANDBOX_GUEST_KERNEL_H_

// The Linux kernel that virtual machines boot, taken from a distribution's kernel package: the
// kernel itself, and the first file system with our programs and the modules that they need.
// Thread-safe.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/files/unique_fd.h"

namespace contree {

struct GuestKernelOptions {
  std::string kernel = {};   // a path; empty: the newest /boot/vmlinuz-*
  std::string modules = {};  // a directory; empty: /lib/modules/ and the kernel's version
};

struct GuestKernel {
  std::string path;
  std::string version;  // as uname -r says it there
  UniqueFd kernel;      // memory files
  UniqueFd initrd;
};

// FailedPrecondition: there is no such kernel, or it cannot do what is needed; the message says
// what to install.
absl::StatusOr<GuestKernel> LoadGuestKernel(const GuestKernelOptions& options);

// The kernel file that LoadGuestKernel would take. Errors: the same.
absl::StatusOr<std::string> FindGuestKernel(const std::string& path);

// Parts of it, apart for tests.

// The version inside a bzImage. InvalidArgument: it is none.
absl::StatusOr<std::string> KernelVersion(absl::string_view bz_image);

// The kernel inside a bzImage, where it is compressed as libarchive knows and can be booted without
// the code around it, which saves unpacking it in every guest; else the bzImage.
std::string UnpackKernel(absl::string_view bz_image);

// What a module needs to have been loaded before it, by its own word.
std::vector<std::string> ModuleDependencies(absl::string_view module);

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_GUEST_KERNEL_H_
