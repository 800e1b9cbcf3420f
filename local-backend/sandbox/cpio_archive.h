#ifndef LOCAL_BACKEND_SANDBOX_CPIO_ARCHIVE_H_
#define LOCAL_BACKEND_SANDBOX_CPIO_ARCHIVE_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace contree {

// An archive of the form "newc", which a Linux kernel unpacks as its first file system. All is
// root's. Used by one thread.
class CpioArchive {
 public:
  // Paths have no leading slash; directories come before what is in them.
  void AddDirectory(absl::string_view path, uint32_t permissions);
  void AddFile(absl::string_view path, uint32_t permissions, absl::string_view content);
  void AddCharacterDevice(absl::string_view path, uint32_t permissions, uint32_t major,
                          uint32_t minor);

  // Ends it. Nothing may be added afterwards.
  std::string Finish() &&;

 private:
  void Add(absl::string_view path, uint32_t mode, uint32_t major, uint32_t minor,
           absl::string_view content);
  void Pad();

  std::string bytes_;
  uint32_t last_inode_ = 0;
};

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_CPIO_ARCHIVE_H_
