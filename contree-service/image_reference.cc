#include "contree-service/image_reference.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/uuid/uuid.h"

namespace contree {
namespace {

constexpr size_t kMaxTagBytes = 256;

bool IsSeparator(char c) { return c == ':' || c == '/' || c == '.'; }

}  // namespace

absl::StatusOr<ImageArgument> ParseImageArgument(absl::string_view text) {
  absl::string_view name = absl::StripAsciiWhitespace(text);
  const bool is_tag = absl::ConsumePrefix(&name, "tag:");
  if (name.empty()) {
    return absl::InvalidArgumentError(
        "image is empty: give a UUID, tag:NAME or NAME (list_images shows what there is)");
  }
  if (!is_tag && IsUuid(absl::AsciiStrToLower(name))) {
    return ImageArgument{.uuid = absl::AsciiStrToLower(name), .tag = ""};
  }
  // Which names a platform takes is its own affair; only what cannot be one is refused here.
  const bool printable =
      std::all_of(name.begin(), name.end(), [](unsigned char c) { return absl::ascii_isgraph(c); });
  if (name.size() > kMaxTagBytes || !printable) {
    return absl::InvalidArgumentError(
        absl::StrCat("image \"", absl::CHexEscape(name.substr(0, kMaxTagBytes)),
                     "\" is neither a UUID nor a tag: a tag has at most 256 characters of a-z 0-9 "
                     "_ - with : / . between"));
  }
  return ImageArgument{.uuid = "", .tag = std::string(name)};
}

absl::Status CheckTag(absl::string_view tag) {
  const bool valid =
      !tag.empty() && tag.size() <= kMaxTagBytes && !IsSeparator(tag.front()) &&
      !IsSeparator(tag.back()) && std::all_of(tag.begin(), tag.end(), [](unsigned char c) {
        return absl::ascii_isalnum(c) || c == '_' || c == '-' || IsSeparator(static_cast<char>(c));
      });
  if (valid) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "tag \"", absl::CHexEscape(tag.substr(0, kMaxTagBytes)),
      "\" is not valid: a tag has at most 256 characters of a-z 0-9 _ - with : / . between"));
}

}  // namespace contree
