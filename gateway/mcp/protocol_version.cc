#include "gateway/mcp/protocol_version.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace contree::gateway {
namespace {

constexpr absl::string_view kVersions[] = {kStatelessVersion, kNewestSessionVersion, "2025-06-18",
                                           "2025-03-26", "2024-11-05"};

}  // namespace

bool IsSupportedProtocolVersion(absl::string_view version) {
  return std::find(std::begin(kVersions), std::end(kVersions), version) != std::end(kVersions);
}

bool IsSessionVersion(absl::string_view version) {
  return version != kStatelessVersion && IsSupportedProtocolVersion(version);
}

const std::string& SupportedVersionsJson() {
  static const auto& json =
      *new std::string(absl::StrCat("[\"", absl::StrJoin(kVersions, "\",\""), "\"]"));
  return json;
}

bool HasBatches(absl::string_view version) { return version == "2025-03-26"; }

// Dates in this form sort as text.
bool HasIcons(absl::string_view version) { return version >= kNewestSessionVersion; }

}  // namespace contree::gateway
