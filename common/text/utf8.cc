#include "common/text/utf8.h"

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace contree {
namespace {

// The length of the character that `lead` begins; 0: none does.
size_t CharacterLength(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return 2;
  if (lead >= 0xE0 && lead <= 0xEF) return 3;
  if (lead >= 0xF0 && lead <= 0xF4) return 4;
  return 0;
}

// Whether `second` may follow `lead` (RFC 3629, section 4).
bool IsSecond(unsigned char lead, unsigned char second) {
  switch (lead) {
    case 0xE0:
      return second >= 0xA0 && second <= 0xBF;
    case 0xED:
      return second >= 0x80 && second <= 0x9F;
    case 0xF0:
      return second >= 0x90 && second <= 0xBF;
    case 0xF4:
      return second >= 0x80 && second <= 0x8F;
    default:
      return second >= 0x80 && second <= 0xBF;
  }
}

bool IsContinuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

}  // namespace

bool IsUtf8(absl::string_view bytes) {
  size_t i = 0;
  while (i < bytes.size()) {
    // Eight ASCII bytes at a time: most of what commands print.
    uint64_t word = 0;
    while (i + sizeof(word) <= bytes.size()) {
      std::memcpy(&word, bytes.data() + i, sizeof(word));
      if ((word & 0x8080808080808080U) != 0) break;
      i += sizeof(word);
    }
    if (i == bytes.size()) break;
    const auto lead = static_cast<unsigned char>(bytes[i]);
    const size_t length = CharacterLength(lead);
    if (length == 0 || i + length > bytes.size()) return false;
    if (length > 1 && !IsSecond(lead, static_cast<unsigned char>(bytes[i + 1]))) return false;
    for (size_t k = 2; k < length; ++k) {
      if (!IsContinuation(bytes[i + k])) return false;
    }
    i += length;
  }
  return true;
}

absl::string_view WithoutCutCharacter(absl::string_view bytes) {
  for (size_t back = 1; back <= 3 && back <= bytes.size(); ++back) {
    const char c = bytes[bytes.size() - back];
    if (IsContinuation(c)) continue;
    if (CharacterLength(static_cast<unsigned char>(c)) > back) bytes.remove_suffix(back);
    break;
  }
  return bytes;
}

}  // namespace contree
