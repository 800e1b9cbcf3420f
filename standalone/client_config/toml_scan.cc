#include "standalone/client_config/toml_scan.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "standalone/client_config/text_position.h"

namespace contree::standalone {
namespace {

constexpr int kMaxDepth = 100;

bool IsBareKeyCharacter(char c) { return absl::ascii_isalnum(c) || c == '_' || c == '-'; }

class Scanner {
 public:
  explicit Scanner(absl::string_view text) : text_(text) {}

  absl::StatusOr<std::vector<TomlEntry>> ScanAll() {
    if (absl::StartsWith(text_, "\xEF\xBB\xBF")) at_ = 3;
    std::vector<TomlEntry> entries;
    TomlPath table;
    while (SkipBlankLines()) {
      TomlEntry entry{.begin = LineBegin()};
      if (Is("[")) {
        ASSIGN_OR_RETURN(table, ParseHeader(entry));
        entry.path = table;
      } else {
        ASSIGN_OR_RETURN(TomlPath key, ParseKey());
        if (!Take("=")) return Error("'=' is expected behind a key");
        SkipSpaces();
        entry.value_begin = at_;
        RETURN_IF_ERROR(SkipValue(0));
        entry.value_end = at_;
        entry.path = table;
        entry.path.insert(entry.path.end(), std::make_move_iterator(key.begin()),
                          std::make_move_iterator(key.end()));
      }
      RETURN_IF_ERROR(EndLine());
      entry.end = at_;
      entries.push_back(std::move(entry));
    }
    return entries;
  }

 private:
  absl::Status Error(absl::string_view message) const { return ErrorAt(text_, at_, message); }
  absl::string_view Rest() const { return text_.substr(at_); }
  bool Is(absl::string_view token) const { return absl::StartsWith(Rest(), token); }
  bool Take(absl::string_view token) {
    if (!Is(token)) return false;
    at_ += token.size();
    return true;
  }
  bool AtLineEnd() const { return at_ >= text_.size() || Is("\n") || Is("\r\n"); }
  size_t LineBegin() const {
    const size_t feed = at_ == 0 ? absl::string_view::npos : text_.rfind('\n', at_ - 1);
    return feed == absl::string_view::npos ? 0 : feed + 1;
  }
  void SkipSpaces() {
    while (Is(" ") || Is("\t")) ++at_;
  }
  void SkipComment() {
    if (!Is("#")) return;
    while (!AtLineEnd()) ++at_;
  }
  // False: the text ends.
  bool SkipBlankLines() {
    while (true) {
      SkipSpaces();
      SkipComment();
      if (at_ >= text_.size()) return false;
      if (!Take("\r\n") && !Take("\n")) return true;
    }
  }
  absl::Status EndLine() {
    SkipSpaces();
    SkipComment();
    if (!AtLineEnd()) return Error("the end of the line is expected");
    if (!Take("\r\n")) Take("\n");
    return absl::OkStatus();
  }

  absl::StatusOr<TomlPath> ParseHeader(TomlEntry& entry) {
    entry.kind = Is("[[") ? TomlEntry::Kind::kArrayOfTables : TomlEntry::Kind::kTable;
    const bool is_array = entry.kind == TomlEntry::Kind::kArrayOfTables;
    at_ += is_array ? 2 : 1;
    SkipSpaces();
    ASSIGN_OR_RETURN(TomlPath path, ParseKey());
    if (!Take(is_array ? "]]" : "]")) return Error(absl::StrCat("']' is expected"));
    return path;
  }

  // A dotted key and the blanks behind it.
  absl::StatusOr<TomlPath> ParseKey() {
    TomlPath path;
    do {
      SkipSpaces();
      const size_t begin = at_;
      if (Is("\"") || Is("'")) {
        RETURN_IF_ERROR(SkipString());
        // Escapes in keys are as rare as they are useless; such a key is just another one.
        path.emplace_back(text_.substr(begin + 1, at_ - begin - 2));
      } else {
        while (at_ < text_.size() && IsBareKeyCharacter(text_[at_])) ++at_;
        if (at_ == begin) return Error("a key is expected");
        path.emplace_back(text_.substr(begin, at_ - begin));
      }
      SkipSpaces();
    } while (Take("."));
    return path;
  }

  absl::Status SkipString() {
    const size_t begin = at_;
    const char quote = text_[at_];
    const std::string triple(3, quote);
    const bool is_long = Is(triple);
    at_ += is_long ? 3 : 1;
    while (at_ < text_.size()) {
      if (text_[at_] == '\\' && quote == '"') {
        at_ += 2;
      } else if (is_long && Take(triple)) {
        // Up to two quotes may stand before the closing ones.
        for (int i = 0; i < 2 && at_ < text_.size() && text_[at_] == quote; ++i) ++at_;
        return absl::OkStatus();
      } else if (!is_long && text_[at_] == quote) {
        ++at_;
        return absl::OkStatus();
      } else if (!is_long && text_[at_] == '\n') {
        break;
      } else {
        ++at_;
      }
    }
    return ErrorAt(text_, begin, "this string has no end");
  }

  absl::Status SkipValue(int depth) {
    if (depth > kMaxDepth) return Error("too deeply nested");
    if (Is("\"") || Is("'")) return SkipString();
    if (Is("[")) return SkipArray(depth);
    if (Is("{")) return SkipInlineTable(depth);
    const size_t begin = at_;
    while (at_ < text_.size() &&
           (absl::ascii_isalnum(text_[at_]) || absl::StrContains("+-_.:", text_[at_]))) {
      ++at_;
    }
    if (at_ == begin) return Error("a value is expected");
    if (Is(" ") && at_ - begin == 10 && text_[begin + 4] == '-') {  // "1979-05-27 07:32:00Z"
      size_t end = at_ + 1;
      while (end < text_.size() &&
             (absl::ascii_isdigit(text_[end]) || absl::StrContains("+-:.Zz", text_[end]))) {
        ++end;
      }
      if (end > at_ + 1) at_ = end;
    }
    return absl::OkStatus();
  }

  absl::Status SkipArray(int depth) {
    const size_t begin = at_++;
    while (true) {
      if (!SkipBlankLines()) return ErrorAt(text_, begin, "this array has no end");
      if (Take("]")) return absl::OkStatus();
      RETURN_IF_ERROR(SkipValue(depth + 1));
      if (!SkipBlankLines()) return ErrorAt(text_, begin, "this array has no end");
      if (!Take(",") && !Is("]")) return Error("',' or ']' is expected");
    }
  }

  absl::Status SkipInlineTable(int depth) {
    ++at_;
    SkipSpaces();
    if (Take("}")) return absl::OkStatus();
    while (true) {
      RETURN_IF_ERROR(ParseKey().status());
      if (!Take("=")) return Error("'=' is expected behind a key");
      SkipSpaces();
      RETURN_IF_ERROR(SkipValue(depth + 1));
      SkipSpaces();
      if (Take("}")) return absl::OkStatus();
      if (!Take(",")) return Error("',' or '}' is expected");
    }
  }

  const absl::string_view text_;
  size_t at_ = 0;
};

}  // namespace

absl::StatusOr<std::vector<TomlEntry>> ScanToml(absl::string_view text) {
  return Scanner(text).ScanAll();
}

}  // namespace contree::standalone
