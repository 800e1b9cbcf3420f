// contree://guide/{section}: the guides, each listed by itself and all as a template.

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "gateway/guides/guide_table.h"
#include "gateway/resources/resource.h"

namespace contree::gateway {
namespace {

constexpr char kPrefix[] = "contree://guide/";
// They change with the program only.
constexpr CacheHints kCache = {.ttl = absl::Hours(24), .scope = CacheScope::kPublic};

absl::StatusOr<ResourceContent> ReadGuide(const ResourceRequest& request, RequestContext&,
                                          const Services&) {
  // A listed guide has no variables.
  const auto variable = request.parameters.find("section");
  const std::string section = variable == request.parameters.end()
                                  ? std::string(absl::StripPrefix(request.uri, kPrefix))
                                  : variable->second;
  const Guide* guide = FindGuide(section);
  if (guide == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("there is no guide '", section, "'; the sections are ",
                     absl::StrJoin(GuideTable(), ", ", [](std::string* out, const Guide& known) {
                       absl::StrAppend(out, known.section);
                     })));
  }
  return ResourceContent{.mime_type = "text/markdown", .data = std::string(guide->content)};
}

}  // namespace

std::vector<Resource> GuideResources() {
  std::vector<Resource> resources;
  for (const Guide& guide : GuideTable()) {
    resources.push_back({
        .uri = absl::StrCat(kPrefix, guide.section),
        .name = absl::StrCat("guide_", guide.section),
        .title = absl::StrCat("Guide: ", guide.title),
        .description = std::string(guide.description),
        .mime_type = "text/markdown",
        .cache = kCache,
        .handler = ReadGuide,
    });
  }
  return resources;
}

ResourceTemplate GuideTemplate() {
  return {
      .uri_template = absl::StrCat(kPrefix, "{section}"),
      .name = "guide",
      .title = "A guide",
      .description = absl::StrCat("A page about working with this server. section: ",
                                  absl::StrJoin(GuideTable(), ", ",
                                                [](std::string* out, const Guide& known) {
                                                  absl::StrAppend(out, known.section);
                                                }),
                                  "."),
      .mime_type = "text/markdown",
      .cache = kCache,
      .handler = ReadGuide,
  };
}

}  // namespace contree::gateway
