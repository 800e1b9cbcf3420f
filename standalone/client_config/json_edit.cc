#include "standalone/client_config/json_edit.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/status/status_macros.h"
#include "standalone/client_config/json_parse.h"
#include "standalone/client_config/text_position.h"

namespace contree::standalone {
namespace {

using nlohmann::ordered_json;

constexpr size_t kNone = absl::string_view::npos;

// How far down the path the text goes.
struct Place {
  const JsonValue* object = nullptr;  // the deepest object on the path that is there
  size_t depth = 0;                   // how many names of the path lead to it
  size_t member = kNone;              // its member path[depth]; only where that is the whole path
};

absl::StatusOr<Place> Locate(absl::string_view text, const JsonValue& root, const JsonPath& path) {
  if (!root.is_object) return ErrorAt(text, root.begin, "an object ('{') is expected");
  Place place{.object = &root};
  while (true) {
    size_t found = kNone;
    const std::vector<JsonMember>& members = place.object->members;
    for (size_t i = 0; i < members.size(); ++i) {
      if (members[i].name != path[place.depth]) continue;
      if (found != kNone) {
        return ErrorAt(text, members[i].name_begin,
                       absl::StrCat("\"", members[i].name, "\" is there twice: keep one of them"));
      }
      found = i;
    }
    if (found == kNone) return place;
    if (place.depth + 1 == path.size()) {
      place.member = found;
      return place;
    }
    const JsonValue& value = members[found].value;
    if (!value.is_object) {
      return ErrorAt(text, value.begin,
                     absl::StrCat("\"", path[place.depth], "\" must be an object"));
    }
    place.object = &value;
    ++place.depth;
  }
}

// The way a text is laid out.
class Layout {
 public:
  explicit Layout(absl::string_view text)
      : text_(text), line_end_(absl::StrContains(text, "\r\n") ? "\r\n" : "\n") {
    // The first line that is indented, and is no part of a comment, shows the unit.
    for (size_t feed = text.find('\n'); feed != kNone; feed = text.find('\n', feed + 1)) {
      const std::string blanks = BlanksAt(feed + 1);
      const size_t behind = feed + 1 + blanks.size();
      if (blanks.empty() || behind >= text.size() || text[behind] != '"') continue;
      unit_ = blanks[0] == '\t' ? "\t" : blanks.substr(0, 8);
      break;
    }
  }

  const std::string& line_end() const { return line_end_; }
  const std::string& unit() const { return unit_; }

  // What the line that holds `offset` is indented by.
  std::string IndentOf(size_t offset) const { return BlanksAt(LineBegin(offset)); }
  size_t LineBegin(size_t offset) const {
    const size_t feed = offset == 0 ? kNone : text_.rfind('\n', offset - 1);
    return feed == kNone ? 0 : feed + 1;
  }
  // Whether nothing but blanks stands before `offset` in its line.
  bool BeginsLine(size_t offset) const {
    return LineBegin(offset) + IndentOf(offset).size() == offset;
  }
  bool IsOneLine(size_t begin, size_t end) const {
    return !absl::StrContains(text_.substr(begin, end - begin), '\n');
  }

  // The value over several lines, the first of which stands behind `indent` and something more.
  std::string Rendered(const ordered_json& value, const std::string& indent) const {
    const std::string dumped = value.dump(static_cast<int>(unit_.size()), unit_[0]);
    return absl::StrReplaceAll(dumped, {{"\n", absl::StrCat(line_end_, indent)}});
  }
  std::string RenderedMember(const std::string& name, const ordered_json& value,
                             const std::string& indent) const {
    return absl::StrCat(ordered_json(name).dump(), ": ", Rendered(value, indent));
  }

 private:
  std::string BlanksAt(size_t offset) const {
    size_t end = offset;
    while (end < text_.size() && (text_[end] == ' ' || text_[end] == '\t')) ++end;
    return std::string(text_.substr(offset, end - offset));
  }

  const absl::string_view text_;
  const std::string line_end_;
  std::string unit_ = "  ";
};

// Where the line of `offset` ends (before its line end) if only blanks and comments follow in it;
// kNone if something else does.
size_t EndOfLineIfOnlyComments(absl::string_view text, size_t offset) {
  while (offset < text.size()) {
    const absl::string_view rest = text.substr(offset);
    if (rest[0] == '\n') return offset;
    if (absl::StartsWith(rest, "\r\n")) return offset;
    if (rest[0] == ' ' || rest[0] == '\t' || rest[0] == '\r') {
      ++offset;
    } else if (absl::StartsWith(rest, "//")) {
      const size_t feed = std::min(text.size(), text.find('\n', offset));
      return feed > 0 && text[feed - 1] == '\r' ? feed - 1 : feed;
    } else if (absl::StartsWith(rest, "/*")) {
      const size_t end = rest.find("*/");
      if (end == kNone || absl::StrContains(rest.substr(0, end), '\n')) return kNone;
      offset += end + 2;
    } else {
      return kNone;
    }
  }
  return offset;
}

std::string Inserted(absl::string_view text, const JsonValue& object, const std::string& name,
                     const ordered_json& value) {
  const Layout layout(text);
  if (object.members.empty()) {
    const std::string outer = layout.IndentOf(object.begin);
    const std::string indent = absl::StrCat(outer, layout.unit());
    const absl::string_view inside = text.substr(object.begin + 1, object.end - object.begin - 2);
    std::string result(text.substr(0, object.begin + 1));
    absl::StrAppend(&result, layout.line_end(), indent, layout.RenderedMember(name, value, indent));
    if (absl::StripAsciiWhitespace(inside).empty()) {
      absl::StrAppend(&result, layout.line_end(), outer);
    } else {  // comments stay, below the new member
      if (inside[0] != '\n' && inside[0] != '\r')
        absl::StrAppend(&result, layout.line_end(), indent);
      absl::StrAppend(&result, inside);
    }
    absl::StrAppend(&result, text.substr(object.end - 1));
    return result;
  }
  const JsonMember& last = object.members.back();
  const bool has_comma = last.comma != kNone;
  const size_t behind = has_comma ? last.comma + 1 : last.value.end;
  std::string result(text.substr(0, behind));
  if (!has_comma) result.push_back(',');
  if (layout.IsOneLine(object.begin, object.end)) {
    absl::StrAppend(&result, " ", ordered_json(name).dump(), ": ", value.dump(),
                    has_comma ? "," : "", text.substr(behind));
    return result;
  }
  const std::string indent = layout.BeginsLine(last.name_begin)
                                 ? layout.IndentOf(last.name_begin)
                                 : absl::StrCat(layout.IndentOf(object.begin), layout.unit());
  size_t at = EndOfLineIfOnlyComments(text, behind);
  if (at == kNone) at = behind;
  absl::StrAppend(&result, text.substr(behind, at - behind), layout.line_end(), indent,
                  layout.RenderedMember(name, value, indent), has_comma ? "," : "");
  // The closing bracket begins a line of its own.
  const size_t next = SkipJsonBlanks(text, at);
  if (next == object.end - 1 && layout.IsOneLine(at, next)) {
    absl::StrAppend(&result, layout.line_end(), layout.IndentOf(object.begin), text.substr(next));
  } else {
    absl::StrAppend(&result, text.substr(at));
  }
  return result;
}

std::string Removed(absl::string_view text, const JsonValue& object, size_t index) {
  const Layout layout(text);
  const JsonMember& member = object.members[index];
  const bool has_comma = member.comma != kNone;
  size_t begin = member.name_begin;
  size_t end = has_comma ? member.comma + 1 : member.value.end;
  const size_t line_end = EndOfLineIfOnlyComments(text, end);
  if (layout.BeginsLine(begin) && line_end != kNone) {
    begin = layout.LineBegin(begin);  // whole lines
    end = line_end;
    if (end < text.size() && text[end] == '\r') ++end;
    if (end < text.size()) ++end;
  } else {
    while (end < text.size() && (text[end] == ' ' || text[end] == '\t')) ++end;
  }
  std::string result(text);
  result.erase(begin, end - begin);
  // What is last now has a comma too many, unless the text had one behind its last member.
  if (!has_comma && index > 0) {
    const size_t comma = object.members[index - 1].comma;
    const size_t behind = begin > comma + 1 && layout.IsOneLine(comma, begin) ? begin : comma + 1;
    result.erase(comma, behind - comma);
  }
  return result;
}

}  // namespace

absl::StatusOr<std::optional<std::string>> FindJsonMember(absl::string_view text,
                                                          const JsonPath& path) {
  if (absl::StripAsciiWhitespace(text).empty()) return std::nullopt;
  ASSIGN_OR_RETURN(const JsonValue root, ParseJsonText(text));
  ASSIGN_OR_RETURN(const Place place, Locate(text, root, path));
  if (place.member == kNone) return std::nullopt;
  const JsonValue& value = place.object->members[place.member].value;
  return std::string(text.substr(value.begin, value.end - value.begin));
}

absl::StatusOr<std::string> WithJsonMember(absl::string_view text, const JsonPath& path,
                                           const ordered_json& value) {
  if (absl::StripAsciiWhitespace(text).empty()) text = "{}\n";
  ASSIGN_OR_RETURN(const JsonValue root, ParseJsonText(text));
  ASSIGN_OR_RETURN(const Place place, Locate(text, root, path));
  if (place.member != kNone) {
    const JsonMember& member = place.object->members[place.member];
    const JsonValue& old = member.value;
    const absl::string_view written = text.substr(old.begin, old.end - old.begin);
    if (ordered_json::parse(written, nullptr, false, /*ignore_comments=*/true) == value) {
      return std::string(text);
    }
    const Layout layout(text);
    return absl::StrCat(text.substr(0, old.begin),
                        layout.Rendered(value, layout.IndentOf(member.name_begin)),
                        text.substr(old.end));
  }
  ordered_json nested = value;
  for (size_t i = path.size() - 1; i > place.depth; --i) {
    ordered_json parent = ordered_json::object();
    parent[path[i]] = std::move(nested);
    nested = std::move(parent);
  }
  return Inserted(text, *place.object, path[place.depth], nested);
}

absl::StatusOr<std::string> WithoutJsonMember(absl::string_view text, const JsonPath& path) {
  if (absl::StripAsciiWhitespace(text).empty()) return std::string(text);
  ASSIGN_OR_RETURN(const JsonValue root, ParseJsonText(text));
  ASSIGN_OR_RETURN(const Place place, Locate(text, root, path));
  if (place.member == kNone) return std::string(text);
  return Removed(text, *place.object, place.member);
}

}  // namespace contree::standalone
