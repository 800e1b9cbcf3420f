// Sections of the guides.

#include "absl/strings/match.h"
#include "gateway/completions/completion.h"
#include "gateway/guides/guide_table.h"

namespace contree::gateway {

absl::StatusOr<std::vector<std::string>> CompleteGuideSection(const CompletionRequest& request,
                                                              RequestContext&, const Services&) {
  std::vector<std::string> sections;
  for (const Guide& guide : GuideTable()) {
    if (absl::StartsWith(guide.section, request.value)) sections.emplace_back(guide.section);
  }
  return sections;
}

}  // namespace contree::gateway
