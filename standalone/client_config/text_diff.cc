#include "standalone/client_config/text_diff.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace contree::standalone {
namespace {

constexpr size_t kContext = 2;
constexpr size_t kMaxWidth = 160;
constexpr size_t kLongLine = 80;

std::vector<absl::string_view> Lines(absl::string_view text) {
  std::vector<absl::string_view> lines;
  if (text.empty()) return lines;
  absl::ConsumeSuffix(&text, "\n");
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    absl::ConsumeSuffix(&line, "\r");
    lines.push_back(line);
  }
  return lines;
}

// A line up to the value that it sets, if it sets one.
std::string WithoutValue(absl::string_view line) {
  const size_t mark = line.find_first_of(":=");
  if (mark == absl::string_view::npos || !absl::StrContains(line.substr(mark), '"')) {
    return std::string(line.substr(0, kMaxWidth));
  }
  return absl::StrCat(line.substr(0, std::min(mark + 1, kMaxWidth)), " …");
}

bool NamesASecret(absl::string_view line) {
  const std::string lower = absl::AsciiStrToLower(line);
  return absl::StrContains(lower, "token") || absl::StrContains(lower, "secret") ||
         absl::StrContains(lower, "password") || absl::StrContains(lower, "key") ||
         absl::StrContains(lower, "auth");
}

// A changed line.
std::string Shown(absl::string_view line) {
  return NamesASecret(line) ? WithoutValue(line) : std::string(line.substr(0, kMaxWidth));
}

// Of a line that changed within, what changed: a file in one line shows no more of itself than a
// file in many.
void AppendChangeWithin(absl::string_view before, absl::string_view after, std::string& diff) {
  const size_t shorter = std::min(before.size(), after.size());
  size_t head = 0;
  while (head < shorter && before[head] == after[head]) ++head;
  size_t tail = 0;
  while (tail < shorter - head &&
         before[before.size() - 1 - tail] == after[after.size() - 1 - tail]) {
    ++tail;
  }
  // Whole characters of UTF-8.
  while (head > 0 && (static_cast<unsigned char>(before[head]) & 0xC0) == 0x80) --head;
  const auto append = [&](absl::string_view mark, absl::string_view line) {
    const std::string changed = Shown(line.substr(head, line.size() - head - tail));
    if (changed.empty()) return;
    absl::StrAppend(&diff, mark, head > 0 ? "… " : "", changed, tail > 0 ? " …" : "", "\n");
  };
  append("- ", before);
  append("+ ", after);
}

}  // namespace

std::string DiffForPeople(absl::string_view before, absl::string_view after) {
  if (before == after) return "";
  const std::vector<absl::string_view> old_lines = Lines(before);
  const std::vector<absl::string_view> new_lines = Lines(after);
  const size_t shorter = std::min(old_lines.size(), new_lines.size());
  size_t head = 0;
  while (head < shorter && old_lines[head] == new_lines[head]) ++head;
  size_t tail = 0;
  while (tail < shorter - head &&
         old_lines[old_lines.size() - 1 - tail] == new_lines[new_lines.size() - 1 - tail]) {
    ++tail;
  }
  std::string diff;
  for (size_t i = head - std::min(head, kContext); i < head; ++i) {
    absl::StrAppend(&diff, "  ", WithoutValue(old_lines[i]), "\n");
  }
  if (old_lines.size() - head - tail == 1 && new_lines.size() - head - tail == 1 &&
      std::max(old_lines[head].size(), new_lines[head].size()) > kLongLine) {
    AppendChangeWithin(old_lines[head], new_lines[head], diff);
  } else {
    for (size_t i = head; i < old_lines.size() - tail; ++i) {
      absl::StrAppend(&diff, "- ", Shown(old_lines[i]), "\n");
    }
    for (size_t i = head; i < new_lines.size() - tail; ++i) {
      absl::StrAppend(&diff, "+ ", Shown(new_lines[i]), "\n");
    }
  }
  for (size_t i = old_lines.size() - tail; i < old_lines.size() - tail + std::min(tail, kContext);
       ++i) {
    absl::StrAppend(&diff, "  ", WithoutValue(old_lines[i]), "\n");
  }
  return diff;
}

}  // namespace contree::standalone
