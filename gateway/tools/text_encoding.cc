#include "gateway/tools/text_encoding.h"

#include "absl/strings/escaping.h"
#include "common/text/utf8.h"

namespace contree::gateway {

EncodedBytes EncodeBytes(absl::string_view bytes, bool truncated) {
  const absl::string_view text = truncated ? WithoutCutCharacter(bytes) : bytes;
  if (IsUtf8(text)) return {std::string(text), false};
  return {absl::Base64Escape(bytes), true};
}

}  // namespace contree::gateway
