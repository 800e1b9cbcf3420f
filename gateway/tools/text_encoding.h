#ifndef GATEWAY_TOOLS_TEXT_ENCODING_H_
#define GATEWAY_TOOLS_TEXT_ENCODING_H_

// Bytes as JSON can carry them: as text where they are UTF-8, otherwise as base64. No byte is ever
// replaced. Thread-safe.

#include <string>

#include "absl/strings/string_view.h"

namespace contree::gateway {

struct EncodedBytes {
  std::string text;
  bool is_base64 = false;
};

// With `truncated`, the end is arbitrary anyway: a character that was cut there is dropped instead
// of turning all of it into base64.
EncodedBytes EncodeBytes(absl::string_view bytes, bool truncated = false);

}  // namespace contree::gateway

#endif  // GATEWAY_TOOLS_TEXT_ENCODING_H_
