#include "standalone/client_config/text_position.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace contree::standalone {

absl::Status ErrorAt(absl::string_view text, size_t offset, absl::string_view message) {
  const absl::string_view before = text.substr(0, offset);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const size_t line_feed = before.rfind('\n');
  const absl::string_view in_line =
      line_feed == absl::string_view::npos ? before : before.substr(line_feed + 1);
  const auto column = 1 + std::count_if(in_line.begin(), in_line.end(), [](char c) {
                        return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
                      });
  return absl::InvalidArgumentError(
      absl::StrCat("line ", line, ", column ", column, ": ", message));
}

}  // namespace contree::standalone
