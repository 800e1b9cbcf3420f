#include "gateway/mcp/text_sealer.h"

#include <cstdint>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/secret/secret_string.h"
#include "common/status/status_macros.h"

namespace contree::gateway {
namespace {

constexpr size_t kMaxSealedBytes = 64 * 1024;

}  // namespace

absl::StatusOr<TextSealer> TextSealer::OfNewKey() {
  ASSIGN_OR_RETURN(KeyRing keys, KeyRing::OfNewKey());
  return TextSealer(std::move(keys), /*is_shared=*/false);
}

absl::StatusOr<std::string> TextSealer::Seal(absl::string_view text, absl::string_view purpose,
                                             absl::Time expires) const {
  ASSIGN_OR_RETURN(const std::string sealed,
                   keys_.Seal(absl::StrCat(absl::ToUnixSeconds(expires), " ", text), purpose));
  return absl::WebSafeBase64Escape(sealed);
}

absl::StatusOr<std::string> TextSealer::Open(absl::string_view sealed, absl::string_view purpose,
                                             absl::Time now) const {
  std::string bytes;
  if (sealed.size() > kMaxSealedBytes || !absl::WebSafeBase64Unescape(sealed, &bytes)) {
    return absl::InvalidArgumentError("it did not come from this server");
  }
  const absl::StatusOr<SecretString> opened = keys_.Open(bytes, purpose);
  if (!opened.ok()) {
    return absl::InvalidArgumentError(
        "it did not come from this server, was changed, or belongs to something else");
  }
  const absl::string_view text = opened->view();
  const size_t space = text.find(' ');
  int64_t expires = 0;
  if (space == absl::string_view::npos || !absl::SimpleAtoi(text.substr(0, space), &expires)) {
    return absl::InvalidArgumentError("it did not come from this server");
  }
  if (now >= absl::FromUnixSeconds(expires)) {
    return absl::DeadlineExceededError("it has expired");
  }
  return std::string(text.substr(space + 1));
}

}  // namespace contree::gateway
