#include "local-backend/sandbox/sandbox_init_image.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

// Made by the linker from the file sandbox_init.
extern "C" const char _binary_sandbox_init_start[];  // NOLINT(bugprone-reserved-identifier)
extern "C" const char _binary_sandbox_init_end[];    // NOLINT(bugprone-reserved-identifier)

namespace contree {

absl::string_view SandboxInitBytes() {
  return {_binary_sandbox_init_start,
          static_cast<size_t>(_binary_sandbox_init_end - _binary_sandbox_init_start)};
}

absl::StatusOr<UniqueFd> MakeSandboxInitFile() {
  UniqueFd file(memfd_create("sandbox_init", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file.is_open()) return absl::ErrnoToStatus(errno, "memfd_create");
  absl::string_view left = SandboxInitBytes();
  while (!left.empty()) {
    const ssize_t written = write(file.get(), left.data(), left.size());
    if (written <= 0) return absl::ErrnoToStatus(errno, "cannot write a memory file");
    left.remove_prefix(static_cast<size_t>(written));
  }
  if (fchmod(file.get(), 0555) != 0 ||
      fcntl(file.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) !=
          0) {
    return absl::ErrnoToStatus(errno, "cannot seal a memory file");
  }
  return file;
}

}  // namespace contree
