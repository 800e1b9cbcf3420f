#include "local-backend/sandbox/program_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"

namespace contree {

absl::StatusOr<UniqueFd> MakeProgramFile(const char* name, absl::string_view bytes) {
  UniqueFd file(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file.is_open()) return absl::ErrnoToStatus(errno, "memfd_create");
  absl::string_view left = bytes;
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

absl::StatusOr<UniqueFd> OpenAgain(const UniqueFd& file) {
  UniqueFd again(open(absl::StrCat("/proc/self/fd/", file.get()).c_str(), O_RDONLY | O_CLOEXEC));
  if (!again.is_open()) return absl::ErrnoToStatus(errno, "cannot open a file of ours again");
  return again;
}

}  // namespace contree
