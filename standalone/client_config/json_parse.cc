#include "standalone/client_config/json_parse.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "standalone/client_config/text_position.h"

namespace contree::standalone {
namespace {

constexpr int kMaxDepth = 200;
constexpr absl::string_view kByteOrderMark = "\xEF\xBB\xBF";

class Parser {
 public:
  explicit Parser(absl::string_view text) : text_(text) {}

  absl::StatusOr<JsonValue> ParseAll() {
    if (absl::StartsWith(text_, kByteOrderMark)) at_ = kByteOrderMark.size();
    RETURN_IF_ERROR(SkipBlanks());
    ASSIGN_OR_RETURN(JsonValue value, ParseValue(0));
    RETURN_IF_ERROR(SkipBlanks());
    if (at_ < text_.size()) return Error("nothing may follow the end of the value");
    return value;
  }

 private:
  absl::Status Error(absl::string_view message) const { return ErrorAt(text_, at_, message); }
  bool IsAt(char c) const { return at_ < text_.size() && text_[at_] == c; }

  absl::Status SkipBlanks() {
    at_ = SkipJsonBlanks(text_, at_);
    if (absl::StartsWith(text_.substr(at_), "/*")) return Error("this comment has no end");
    return absl::OkStatus();
  }

  absl::StatusOr<JsonValue> ParseValue(int depth) {
    if (depth > kMaxDepth) return Error("too deeply nested");
    if (at_ >= text_.size()) return Error("a value is expected, but the text ends");
    if (IsAt('{')) return ParseObject(depth);
    JsonValue value{.begin = at_};
    if (IsAt('[')) {
      RETURN_IF_ERROR(SkipArray(depth));
    } else if (IsAt('"')) {
      RETURN_IF_ERROR(ParseString().status());
    } else {
      while (at_ < text_.size() &&
             (absl::ascii_isalnum(text_[at_]) || absl::StrContains("+-.", text_[at_]))) {
        ++at_;
      }
      const absl::string_view word = text_.substr(value.begin, at_ - value.begin);
      if (word.empty() || !nlohmann::json::accept(word.begin(), word.end())) {
        at_ = value.begin;
        return Error(word.empty() ? "a value is expected"
                                  : absl::StrCat("'", word.substr(0, 40), "' is no JSON value"));
      }
    }
    value.end = at_;
    return value;
  }

  absl::StatusOr<JsonValue> ParseObject(int depth) {
    JsonValue object{.begin = at_++, .is_object = true};
    RETURN_IF_ERROR(SkipBlanks());
    while (!IsAt('}')) {
      JsonMember member{.name_begin = at_};
      if (!IsAt('"')) return Error("a name in double quotes or '}' is expected");
      ASSIGN_OR_RETURN(member.name, ParseString());
      RETURN_IF_ERROR(SkipBlanks());
      if (!IsAt(':')) return Error(absl::StrCat("':' is expected behind \"", member.name, "\""));
      ++at_;
      RETURN_IF_ERROR(SkipBlanks());
      ASSIGN_OR_RETURN(member.value, ParseValue(depth + 1));
      RETURN_IF_ERROR(SkipBlanks());
      const bool goes_on = IsAt(',');
      if (!goes_on && !IsAt('}')) return Error("',' or '}' is expected");
      if (goes_on) {
        member.comma = at_++;
        RETURN_IF_ERROR(SkipBlanks());
      }
      object.members.push_back(std::move(member));
    }
    object.end = ++at_;
    return object;
  }

  absl::Status SkipArray(int depth) {
    ++at_;
    RETURN_IF_ERROR(SkipBlanks());
    while (!IsAt(']')) {
      RETURN_IF_ERROR(ParseValue(depth + 1).status());
      RETURN_IF_ERROR(SkipBlanks());
      if (!IsAt(',') && !IsAt(']')) return Error("',' or ']' is expected");
      if (IsAt(',')) ++at_;
      RETURN_IF_ERROR(SkipBlanks());
    }
    ++at_;
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> ParseString() {
    const size_t begin = at_++;
    while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\n') {
      at_ += text_[at_] == '\\' ? 2 : 1;
    }
    if (!IsAt('"')) return ErrorAt(text_, begin, "this string has no end");
    const absl::string_view literal = text_.substr(begin, ++at_ - begin);
    const nlohmann::json string =
        nlohmann::json::parse(literal.begin(), literal.end(), nullptr, /*allow_exceptions=*/false);
    if (!string.is_string()) {
      return ErrorAt(text_, begin, "this string is not valid JSON (escapes, UTF-8)");
    }
    return string.get<std::string>();
  }

  const absl::string_view text_;
  size_t at_ = 0;
};

}  // namespace

size_t SkipJsonBlanks(absl::string_view text, size_t offset) {
  while (offset < text.size()) {
    const absl::string_view rest = text.substr(offset);
    if (absl::StrContains(" \t\r\n", rest[0])) {
      ++offset;
    } else if (absl::StartsWith(rest, "//")) {
      offset = std::min(text.size(), text.find('\n', offset));
    } else if (absl::StartsWith(rest, "/*")) {
      const size_t end = text.find("*/", offset + 2);
      if (end == absl::string_view::npos) break;
      offset = end + 2;
    } else {
      break;
    }
  }
  return offset;
}

absl::StatusOr<JsonValue> ParseJsonText(absl::string_view text) { return Parser(text).ParseAll(); }

}  // namespace contree::standalone
