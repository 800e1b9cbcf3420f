#include "standalone/client_config/toml_edit.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/status/status_macros.h"

namespace contree::standalone {
namespace {

using Kind = TomlEntry::Kind;
using Entries = std::vector<TomlEntry>;

bool BeginsWith(const TomlPath& path, const TomlPath& prefix) {
  return path.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), path.begin());
}

absl::Status OtherForm(absl::string_view text, const TomlEntry& entry, const TomlPath& path) {
  const absl::string_view before = text.substr(0, entry.begin);
  return absl::FailedPreconditionError(absl::StrCat(
      "line ", 1 + std::count(before.begin(), before.end(), '\n'), " defines ",
      absl::StrJoin(path, "."), " in a form that is not changed here: write it as a table [",
      absl::StrJoin(path, "."), "], or change that line yourself"));
}

// The entries, and where [path]'s header is among them (entries.size(): nowhere).
struct Found {
  Entries entries;
  size_t header;
};

absl::StatusOr<Found> Find(absl::string_view text, const TomlPath& path) {
  ASSIGN_OR_RETURN(Entries entries, ScanToml(text));
  Found found{.entries = std::move(entries), .header = 0};
  found.header = found.entries.size();
  TomlPath table;
  for (size_t i = 0; i < found.entries.size(); ++i) {
    const TomlEntry& entry = found.entries[i];
    if (entry.kind != Kind::kKey) {
      table = entry.path;
      const bool is_ours = entry.path == path;
      // [[mcp_servers]] or [[mcp_servers.contree]] makes a list of what must be a table.
      if (entry.kind == Kind::kArrayOfTables && BeginsWith(path, entry.path)) {
        return OtherForm(text, entry, path);
      }
      if (is_ours && found.header != found.entries.size()) return OtherForm(text, entry, path);
      if (is_ours) found.header = i;
    } else if (!BeginsWith(table, path) &&
               (BeginsWith(entry.path, path) || BeginsWith(path, entry.path))) {
      return OtherForm(text, entry, path);
    }
  }
  return found;
}

// Behind the keys directly in the table whose header is entries[header].
size_t EndOfTable(const Entries& entries, size_t header) {
  size_t i = header + 1;
  while (i < entries.size() && entries[i].kind == Kind::kKey) ++i;
  return i;
}

std::string LineEnd(absl::string_view text) {
  return absl::StrContains(text, "\r\n") ? "\r\n" : "\n";
}

}  // namespace

absl::StatusOr<std::optional<TomlValues>> FindTomlTable(absl::string_view text,
                                                        const TomlPath& path) {
  ASSIGN_OR_RETURN(const Found found, Find(text, path));
  if (found.header == found.entries.size()) return std::nullopt;
  TomlValues values;
  for (size_t i = found.header + 1; i < EndOfTable(found.entries, found.header); ++i) {
    const TomlEntry& entry = found.entries[i];
    values.emplace_back(
        absl::StrJoin(entry.path.begin() + static_cast<ptrdiff_t>(path.size()), entry.path.end(),
                      "."),
        std::string(text.substr(entry.value_begin, entry.value_end - entry.value_begin)));
  }
  return values;
}

absl::StatusOr<std::string> WithTomlTable(absl::string_view text, const TomlPath& path,
                                          const TomlValues& values) {
  ASSIGN_OR_RETURN(const Found found, Find(text, path));
  const Entries& entries = found.entries;
  const std::string line_end = LineEnd(text);
  std::string result(text);
  if (found.header == entries.size()) {
    if (!result.empty() && result.back() != '\n') result += line_end;
    if (!result.empty() && !absl::EndsWith(result, line_end + line_end)) result += line_end;
    absl::StrAppend(&result, "[", absl::StrJoin(path, "."), "]", line_end);
    for (const auto& [key, value] : values) {
      absl::StrAppend(&result, key, " = ", value, line_end);
    }
    return result;
  }
  // From the end to the beginning, so that the offsets of what is left to do stay true.
  const size_t table_end = EndOfTable(entries, found.header);
  std::string missing;
  for (const auto& [key, value] : values) {
    TomlPath key_path = path;
    key_path.push_back(key);
    const bool is_there = std::any_of(
        entries.begin() + static_cast<ptrdiff_t>(found.header),
        entries.begin() + static_cast<ptrdiff_t>(table_end),
        [&](const TomlEntry& entry) { return entry.kind == Kind::kKey && entry.path == key_path; });
    if (!is_there) absl::StrAppend(&missing, key, " = ", value, line_end);
  }
  if (!missing.empty()) {
    const size_t at = entries[table_end - 1].end;
    if (at > 0 && result[at - 1] != '\n') missing.insert(0, line_end);
    result.insert(at, missing);
  }
  for (size_t i = table_end - 1; i > found.header; --i) {
    for (const auto& [key, value] : values) {
      if (entries[i].path.size() != path.size() + 1 || entries[i].path.back() != key) continue;
      result.replace(entries[i].value_begin, entries[i].value_end - entries[i].value_begin, value);
    }
  }
  return result;
}

absl::StatusOr<std::string> WithoutTomlTable(absl::string_view text, const TomlPath& path) {
  ASSIGN_OR_RETURN(const Found found, Find(text, path));
  const Entries& entries = found.entries;
  std::string result(text);
  // Sub-tables may stand anywhere; from the end to the beginning.
  for (size_t i = entries.size(); i-- > 0;) {
    if (entries[i].kind == Kind::kKey || !BeginsWith(entries[i].path, path)) continue;
    size_t begin = entries[i].begin;
    size_t end = entries[EndOfTable(entries, i) - 1].end;
    // The blank line that set it apart goes with it.
    const std::string line_end = LineEnd(text);
    const absl::string_view before = absl::string_view(result).substr(0, begin);
    if (end == result.size() && absl::EndsWith(before, line_end + line_end)) {
      begin -= line_end.size();
    } else if ((begin == 0 || absl::EndsWith(before, line_end + line_end)) &&
               absl::StartsWith(absl::string_view(result).substr(end), line_end)) {
      end += line_end.size();
    }
    result.erase(begin, end - begin);
  }
  return result;
}

std::string TomlString(absl::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result.push_back('\\');
      result.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      absl::StrAppendFormat(&result, "\\u%04X", static_cast<unsigned char>(c));
    } else {
      result.push_back(c);
    }
  }
  result.push_back('"');
  return result;
}

}  // namespace contree::standalone
