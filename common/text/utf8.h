#ifndef COMMON_TEXT_UTF8_H_
#define COMMON_TEXT_UTF8_H_

// Thread-safe.

#include "absl/strings/string_view.h"

namespace contree {

// Whether `bytes` are well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates).
bool IsUtf8(absl::string_view bytes);

// `bytes` without a character at their end that was cut in the middle.
absl::string_view WithoutCutCharacter(absl::string_view bytes);

}  // namespace contree

#endif  // COMMON_TEXT_UTF8_H_
