#include "gateway/web/html.h"

#include <md4c-html.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"

namespace contree::gateway {
namespace {

void AppendPiece(const char* piece, MD_SIZE size, void* html) {
  static_cast<std::string*>(html)->append(piece, size);
}

// Whether `html` has a tag of a heading at `at`; then `digit` is where its level stands.
bool IsHeadingTag(absl::string_view html, size_t at, size_t* digit) {
  absl::string_view rest = html.substr(at);
  const size_t name = absl::StartsWith(rest, "</h") ? 3 : absl::StartsWith(rest, "<h") ? 2 : 0;
  if (name == 0 || rest.size() < name + 2 || rest[name] < '1' || rest[name] > '6' ||
      rest[name + 1] != '>') {
    return false;
  }
  *digit = at + name;
  return true;
}

void ShiftHeadings(int by, std::string* html) {
  for (size_t at = html->find('<'); at != std::string::npos; at = html->find('<', at + 1)) {
    size_t digit = 0;
    if (IsHeadingTag(*html, at, &digit)) {
      (*html)[digit] = static_cast<char>('0' + std::min((*html)[digit] - '0' + by, 6));
    }
  }
}

}  // namespace

std::string HtmlText(absl::string_view text) {
  return absl::StrReplaceAll(
      text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}, {"'", "&#39;"}});
}

std::string MarkdownToHtml(absl::string_view markdown, int heading_shift) {
  std::string html;
  md_html(markdown.data(), static_cast<MD_SIZE>(markdown.size()), AppendPiece, &html,
          MD_DIALECT_GITHUB | MD_FLAG_NOHTML, 0);
  if (heading_shift > 0) ShiftHeadings(heading_shift, &html);
  return html;
}

}  // namespace contree::gateway
