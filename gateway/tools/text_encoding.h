#ifndef GATEWAY_TOOLS_TEXT_ENCODING_H_
#define GATEWAY_TOOLS_TEXT_ENCODING_H_

// Bytes as JSON can carry them: as text where they are UTF-8, otherwise as base64. No byte is ever
// replaced. Thread-safe.

#include <string>

#include "absl/strings/string_view.h"

namespace contree::gateway {

// Whether `bytes` are well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates).
bool IsUtf8(absl::string_view bytes);

// `bytes` without a character at their end that was cut in the middle.
absl::string_view WithoutCutCharacter(absl::string_view bytes);

struct EncodedBytes {
  std::string text;
  bool is_base64 = false;
};

// With `truncated`, the end is arbitrary anyway: a character that was cut there is dropped instead
// of turning all of it into base64.
EncodedBytes EncodeBytes(absl::string_view bytes, bool truncated = false);

}  // namespace contree::gateway

#endif  // GATEWAY_TOOLS_TEXT_ENCODING_H_
