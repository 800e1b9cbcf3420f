#include "local-backend/images/tar_header.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

namespace contree {
namespace {

struct Block {
  char name[100];
  char mode[8];
  char uid[8];
  char gid[8];
  char size[12];
  char mtime[12];
  char checksum[8];
  char kind;
  char target[100];
  char magic[6];
  char version[2];
  char user[32];
  char group[32];
  char device_major[8];
  char device_minor[8];
  char prefix[155];
  char unused[12];
};
static_assert(sizeof(Block) == kTarBlock);

constexpr int64_t kMaxId = 07777777;
constexpr int64_t kMaxNumber = 077777777777;

template <size_t N>
void PutText(char (&field)[N], absl::string_view text) {
  memcpy(field, text.data(), std::min(text.size(), N));
}

template <size_t N>
void PutNumber(char (&field)[N], int64_t number) {
  PutText(field, absl::StrFormat("%0*o", static_cast<int>(N) - 1, number));
}

// "LENGTH KEY=VALUE\n", where the length counts itself.
std::string Record(absl::string_view key, absl::string_view value) {
  const size_t rest = key.size() + value.size() + 3;
  size_t length = rest + 1;
  while (absl::StrCat(length).size() + rest != length) {
    length = absl::StrCat(length).size() + rest;
  }
  return absl::StrCat(length, " ", key, "=", value, "\n");
}

bool IsAscii(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0 && c < 127; });
}

std::string ToBlock(const TarEntry& entry, char kind) {
  Block block = {};
  PutText(block.name, entry.name);
  PutNumber(block.mode, entry.mode & 07777);
  PutNumber(block.uid, std::min<int64_t>(entry.uid, kMaxId));
  PutNumber(block.gid, std::min<int64_t>(entry.gid, kMaxId));
  PutNumber(block.size, std::min(entry.size, kMaxNumber));
  PutNumber(block.mtime, std::clamp<int64_t>(entry.mtime_seconds, 0, kMaxNumber));
  block.kind = kind;
  PutText(block.target, entry.target);
  PutText(block.magic, absl::string_view("ustar\0", 6));
  PutText(block.version, "00");
  PutText(block.user, entry.user);
  PutText(block.group, entry.group);
  PutNumber(block.device_major, std::min<int64_t>(entry.device_major, kMaxId));
  PutNumber(block.device_minor, std::min<int64_t>(entry.device_minor, kMaxId));
  memset(block.checksum, ' ', sizeof block.checksum);
  unsigned sum = 0;
  const auto* bytes = reinterpret_cast<const unsigned char*>(&block);
  for (size_t i = 0; i < sizeof block; ++i) sum += bytes[i];
  PutText(block.checksum, absl::StrFormat("%06o", sum));
  block.checksum[6] = '\0';
  return std::string(reinterpret_cast<const char*>(&block), sizeof block);
}

}  // namespace

std::string TarHeader(const TarEntry& entry) {
  std::string records;
  if (entry.name.size() > sizeof(Block::name) || !IsAscii(entry.name)) {
    absl::StrAppend(&records, Record("path", entry.name));
  }
  if (entry.target.size() > sizeof(Block::target) || !IsAscii(entry.target)) {
    absl::StrAppend(&records, Record("linkpath", entry.target));
  }
  if (entry.user.size() >= sizeof(Block::user) || !IsAscii(entry.user)) {
    absl::StrAppend(&records, Record("uname", entry.user));
  }
  if (entry.group.size() >= sizeof(Block::group) || !IsAscii(entry.group)) {
    absl::StrAppend(&records, Record("gname", entry.group));
  }
  if (entry.uid > kMaxId) absl::StrAppend(&records, Record("uid", absl::StrCat(entry.uid)));
  if (entry.gid > kMaxId) absl::StrAppend(&records, Record("gid", absl::StrCat(entry.gid)));
  if (entry.size > kMaxNumber) absl::StrAppend(&records, Record("size", absl::StrCat(entry.size)));
  if (entry.mtime_nanoseconds != 0 && entry.mtime_seconds >= 0) {
    absl::StrAppend(&records, Record("mtime", absl::StrFormat("%d.%09d", entry.mtime_seconds,
                                                              entry.mtime_nanoseconds)));
  } else if (entry.mtime_seconds < 0 || entry.mtime_seconds > kMaxNumber) {
    absl::StrAppend(&records, Record("mtime", absl::StrCat(entry.mtime_seconds)));
  }
  for (const auto& [name, value] : entry.attributes) {
    absl::StrAppend(&records, Record(absl::StrCat("SCHILY.xattr.", name), value));
  }
  if (records.empty()) return ToBlock(entry, static_cast<char>(entry.kind));
  const TarEntry extended = {.name = "./PaxHeaders/entry",
                             .mode = 0644,
                             .user = "",
                             .group = "",
                             .size = static_cast<int64_t>(records.size()),
                             .target = "",
                             .attributes = {}};
  return absl::StrCat(ToBlock(extended, 'x'), records,
                      TarPadding(static_cast<int64_t>(records.size())),
                      ToBlock(entry, static_cast<char>(entry.kind)));
}

std::string TarPadding(int64_t size) {
  return std::string(static_cast<size_t>((kTarBlock - size % kTarBlock) % kTarBlock), '\0');
}

std::string TarEnd() { return std::string(2 * kTarBlock, '\0'); }

}  // namespace contree
