#include "local-backend/api/byte_range.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace contree {
namespace {

std::optional<int64_t> Number(absl::string_view text) {
  int64_t number;
  if (text.empty() ||
      !std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    return std::nullopt;
  }
  if (!absl::SimpleAtoi(text, &number)) return std::nullopt;
  return number;
}

}  // namespace

absl::StatusOr<std::optional<ByteRange>> ParseByteRange(absl::string_view header, int64_t size) {
  if (!absl::ConsumePrefix(&header, "bytes=")) return std::nullopt;
  const size_t dash = header.find('-');
  if (dash == absl::string_view::npos) return std::nullopt;
  const absl::string_view first_text = header.substr(0, dash);
  const absl::string_view last_text = header.substr(dash + 1);
  const std::optional<int64_t> first = Number(first_text);
  const std::optional<int64_t> last = Number(last_text);
  const bool last_is_right = last.has_value() || last_text.empty();
  ByteRange range;
  if (first.has_value() && last_is_right) {
    if (last.has_value() && *last < *first) return std::nullopt;
    range.first = *first;
    range.length = std::min(last.value_or(size), size - 1) - range.first + 1;
  } else if (first_text.empty() && last.has_value()) {  // the last so many bytes
    range.length = std::min(*last, size);
    range.first = size - range.length;
  } else {
    return std::nullopt;
  }
  if (range.length <= 0) {
    return absl::OutOfRangeError(
        absl::StrCat("the range ", header, " is outside the ", size, " bytes"));
  }
  return range;
}

}  // namespace contree
