#ifndef GATEWAY_GUIDES_GUIDE_TABLE_H_
#define GATEWAY_GUIDES_GUIDE_TABLE_H_

// What an agent can read about this server: Markdown pages, each a file of this folder. get_guide,
// the resource contree://guide/{section} and completion serve them. Immutable, so thread-safe.

#include <vector>

#include "absl/strings/string_view.h"

namespace contree::gateway {

struct Guide {
  absl::string_view section;  // its name
  absl::string_view title;
  absl::string_view description;  // one sentence
  absl::string_view content;
};

// In the order in which they are listed.
const std::vector<Guide>& GuideTable();

// nullptr: no such section.
const Guide* FindGuide(absl::string_view section);

}  // namespace contree::gateway

#endif  // GATEWAY_GUIDES_GUIDE_TABLE_H_
