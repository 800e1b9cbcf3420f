#include "local-backend/sandbox/cpio_archive.h"

#include <sys/stat.h>

#include <utility>

#include "absl/strings/str_cat.h"

namespace contree {

void CpioArchive::AddDirectory(absl::string_view path, uint32_t permissions) {
  Add(path, S_IFDIR | permissions, 0, 0, "");
}

void CpioArchive::AddFile(absl::string_view path, uint32_t permissions, absl::string_view content) {
  Add(path, S_IFREG | permissions, 0, 0, content);
}

void CpioArchive::AddCharacterDevice(absl::string_view path, uint32_t permissions, uint32_t major,
                                     uint32_t minor) {
  Add(path, S_IFCHR | permissions, major, minor, "");
}

std::string CpioArchive::Finish() && {
  Add("TRAILER!!!", 0, 0, 0, "");
  return std::move(bytes_);
}

void CpioArchive::Add(absl::string_view path, uint32_t mode, uint32_t major, uint32_t minor,
                      absl::string_view content) {
  absl::StrAppend(&bytes_, "070701");
  // In this order: inode, mode, owner, group, links, time, size, device of the archive (2), device
  // that it is (2), length of the name with its NUL, checksum.
  for (const uint32_t number :
       {++last_inode_, mode, 0u, 0u, 1u, 0u, static_cast<uint32_t>(content.size()), 0u, 0u, major,
        minor, static_cast<uint32_t>(path.size() + 1), 0u}) {
    absl::StrAppend(&bytes_, absl::Hex(number, absl::kZeroPad8));
  }
  absl::StrAppend(&bytes_, path);
  bytes_.push_back('\0');
  Pad();
  absl::StrAppend(&bytes_, content);
  Pad();
}

void CpioArchive::Pad() { bytes_.append((4 - bytes_.size() % 4) % 4, '\0'); }

}  // namespace contree
