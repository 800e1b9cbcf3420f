#ifndef GATEWAY_WEB_HTML_H_
#define GATEWAY_WEB_HTML_H_

// Text as HTML. Thread-safe.

#include <string>

#include "absl/strings/string_view.h"

namespace contree::gateway {

// Text for between tags and for attributes in double quotes.
std::string HtmlText(absl::string_view text);

// Markdown as GitHub writes it. Headings move down by `heading_shift` levels (to h6 at most), to
// fit into the page's own; HTML in the text is shown as text. For texts of this project: links are
// kept as they are.
std::string MarkdownToHtml(absl::string_view markdown, int heading_shift = 0);

}  // namespace contree::gateway

#endif  // GATEWAY_WEB_HTML_H_
