#include "standalone/auth_ini.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/status/status_macros.h"

namespace contree::standalone {
namespace {

using Lines = std::vector<std::string>;

bool IsBlankOrComment(absl::string_view line) {
  const absl::string_view text = absl::StripAsciiWhitespace(line);
  return text.empty() || text[0] == '#' || text[0] == ';';
}

std::optional<absl::string_view> SectionOf(absl::string_view line) {
  line = absl::StripAsciiWhitespace(line);
  if (!absl::StartsWith(line, "[") || !absl::EndsWith(line, "]")) return std::nullopt;
  return line.substr(1, line.size() - 2);
}

// The key that a line sets; "" for another kind of line. An indented line goes on with the value
// before it.
std::string KeyOf(absl::string_view line) {
  if (IsBlankOrComment(line) || absl::ascii_isspace(line[0]) || line[0] == '[') return "";
  const absl::string_view key = line.substr(0, line.find_first_of("=:"));
  return absl::AsciiStrToLower(absl::StripAsciiWhitespace(key));
}

// Keys and their values; an empty value takes the key away.
using Settings = std::vector<std::pair<std::string, std::string>>;

// Sets the keys of one section, which is made, first or last, if it is missing.
void Set(const std::string& section, const Settings& settings, bool new_goes_first, Lines& lines) {
  auto header = std::find_if(lines.begin(), lines.end(),
                             [&](const std::string& line) { return SectionOf(line) == section; });
  if (header == lines.end()) {
    const std::string title = absl::StrCat("[", section, "]");
    if (new_goes_first) {
      lines.insert(lines.begin(), {title, ""});
      header = lines.begin();
    } else {
      if (!lines.empty() && !lines.back().empty()) lines.emplace_back("");
      header = lines.insert(lines.end(), title);
    }
  }
  size_t at = static_cast<size_t>(header - lines.begin()) + 1;
  for (const auto& [key, value] : settings) {
    size_t i = at;
    while (i < lines.size() && !SectionOf(lines[i]).has_value() && KeyOf(lines[i]) != key) ++i;
    const bool is_there = i < lines.size() && KeyOf(lines[i]) == key;
    if (is_there) {
      size_t end = i + 1;
      while (end < lines.size() && !IsBlankOrComment(lines[end]) &&
             absl::ascii_isspace(lines[end][0])) {
        ++end;
      }
      lines.erase(lines.begin() + static_cast<ptrdiff_t>(i),
                  lines.begin() + static_cast<ptrdiff_t>(end));
    } else {
      i = at;
    }
    if (value.empty()) continue;
    lines.insert(lines.begin() + static_cast<ptrdiff_t>(i), absl::StrCat(key, " = ", value));
    if (i == at) ++at;
  }
}

}  // namespace

bool IsBearerToken(absl::string_view token) {
  const size_t padding = token.find_last_not_of('=');
  if (padding == absl::string_view::npos) return false;
  const absl::string_view body = token.substr(0, padding + 1);
  return std::all_of(body.begin(), body.end(), [](char c) {
    return absl::ascii_isalnum(c) || absl::StrContains("-._~+/", c);
  });
}

bool IsProfileName(absl::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(c) || absl::StrContains("-_.", c);
  });
}

absl::StatusOr<std::string> WithProfile(absl::string_view text, const std::string& name,
                                        const Profile& profile) {
  Lines lines;
  if (!text.empty()) {
    lines = absl::StrSplit(absl::StripSuffix(text, "\n"), '\n');
  }
  for (size_t i = 0; i < lines.size(); ++i) {
    if (SectionOf(lines[i]).has_value()) break;
    if (!IsBlankOrComment(lines[i])) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", i + 1, " stands in no [section]: mend or remove it"));
    }
  }
  Set("DEFAULT", {{"profile", name}}, /*new_goes_first=*/true, lines);
  Set(absl::StrCat("profile:", name),
      {{"token", profile.token},
       {"url", profile.url},
       {"type", profile.project.empty() ? "jwt" : "iam"},
       {"project", profile.project}},
      /*new_goes_first=*/false, lines);
  return absl::StrCat(absl::StrJoin(lines, "\n"), "\n");
}

}  // namespace contree::standalone
