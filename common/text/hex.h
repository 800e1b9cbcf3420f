#ifndef COMMON_TEXT_HEX_H_
#define COMMON_TEXT_HEX_H_

// Abseil's HexStringToBytes has another form in each Debian. Thread-safe.

#include <string>

#include "absl/strings/string_view.h"

namespace contree {

// The value of a hexadecimal digit of either case; -1: it is none.
int HexDigit(char c);

// The bytes that pairs of hexadecimal digits say; "" where `hex` is anything else.
std::string BytesOfHex(absl::string_view hex);

}  // namespace contree

#endif  // COMMON_TEXT_HEX_H_
