#include "gateway/resources/uri_template.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/text/hex.h"
#include "common/text/utf8.h"

namespace contree::gateway {
namespace {

bool IsName(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_';
  });
}

// nullopt: an escape that is cut or no hexadecimal number, NUL, which no name or path holds, or
// what is not UTF-8: all that is asked for by a name goes through JSON and Protobuf strings.
std::optional<std::string> PercentDecode(absl::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = HexDigit(text[i + 1]);
      const int low = HexDigit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (c == '\0') return std::nullopt;
    decoded.push_back(c);
  }
  if (!IsUtf8(decoded)) return std::nullopt;
  return decoded;
}

absl::Status BadTemplate(absl::string_view text, absl::string_view reason) {
  return absl::InvalidArgumentError(
      absl::StrCat("the URI template '", text, "' cannot be used: ", reason));
}

}  // namespace

absl::StatusOr<UriTemplate> UriTemplate::Parse(absl::string_view text) {
  UriTemplate parsed;
  absl::string_view rest = text;
  while (true) {
    const size_t open = rest.find('{');
    const absl::string_view literal = rest.substr(0, open);
    if (absl::StrContains(literal, "}")) return BadTemplate(text, "a '}' without its '{'");
    parsed.literals_.emplace_back(literal);
    if (open == absl::string_view::npos) return parsed;
    const size_t close = rest.find('}', open);
    if (close == absl::string_view::npos) return BadTemplate(text, "a '{' without its '}'");
    const absl::string_view name = rest.substr(open + 1, close - open - 1);
    if (!IsName(name)) return BadTemplate(text, "a variable's name has letters, digits and '_'");
    if (!parsed.variables_.empty() && literal.empty()) {
      return BadTemplate(text, "something must stand between two variables");
    }
    if (std::find(parsed.variables_.begin(), parsed.variables_.end(), name) !=
        parsed.variables_.end()) {
      return BadTemplate(text, "a variable is there twice");
    }
    parsed.variables_.emplace_back(name);
    rest.remove_prefix(close + 1);
  }
}

std::optional<std::map<std::string, std::string>> UriTemplate::Match(absl::string_view uri) const {
  if (!absl::ConsumePrefix(&uri, literals_[0])) return std::nullopt;
  std::map<std::string, std::string> values;
  for (size_t i = 0; i < variables_.size(); ++i) {
    const std::string& behind = literals_[i + 1];
    const bool is_last = i + 1 == variables_.size();
    absl::string_view value;
    if (is_last && behind.empty()) {
      value = std::exchange(uri, {});
    } else {
      // The last literal has to be at the end of the URI, not just somewhere.
      if (is_last && !absl::EndsWith(uri, behind)) return std::nullopt;
      const size_t end = is_last ? uri.size() - behind.size() : uri.find(behind, 1);
      if (end == absl::string_view::npos || end > uri.size()) return std::nullopt;
      value = uri.substr(0, end);
      if (absl::StrContains(value, "/")) return std::nullopt;
      uri.remove_prefix(end + behind.size());
    }
    std::optional<std::string> decoded = PercentDecode(value);
    if (!decoded.has_value() || decoded->empty()) return std::nullopt;
    values.emplace(variables_[i], *std::move(decoded));
  }
  if (!uri.empty()) return std::nullopt;
  return values;
}

}  // namespace contree::gateway
