#ifndef LOCAL_BACKEND_IMAGES_TAR_HEADER_H_
#define LOCAL_BACKEND_IMAGES_TAR_HEADER_H_

// The headers of POSIX PAX archives (POSIX.1-2001, pax). Thread-safe.

#include <cstdint>
#include <map>
#include <string>

namespace contree {

enum class TarKind : char {
  kFile = '0',
  kHardLink = '1',
  kSymbolicLink = '2',
  kCharacterDevice = '3',
  kBlockDevice = '4',
  kDirectory = '5',
  kFifo = '6',
};

struct TarEntry {
  std::string name;  // relative; of a directory with a slash at the end
  TarKind kind = TarKind::kFile;
  uint32_t mode = 0;  // permission bits
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::string user;
  std::string group;
  int64_t size = 0;  // of the content that follows
  int64_t mtime_seconds = 0;
  uint32_t mtime_nanoseconds = 0;
  std::string target;  // of a link
  uint32_t device_major = 0;
  uint32_t device_minor = 0;
  std::map<std::string, std::string> attributes;  // extended ones
};

inline constexpr int64_t kTarBlock = 512;

// All that comes before the content: with an extended header where the old form cannot hold it all.
std::string TarHeader(const TarEntry& entry);
// What follows a content of so many bytes.
std::string TarPadding(int64_t size);
// The end of an archive.
std::string TarEnd();

}  // namespace contree

#endif  // LOCAL_BACKEND_IMAGES_TAR_HEADER_H_
