#include "gateway/mcp/server_info.h"

#include "absl/strings/str_cat.h"
#include "common/text/json_text.h"

namespace contree::gateway {

std::string ServerInfoJson(bool with_icons) {
  return absl::StrCat(R"({"name":)", ToJsonString(kServerName), R"(,"title":)",
                      ToJsonString(kServerTitle), R"(,"version":)", ToJsonString(kServerVersion),
                      with_icons ? R"(,"icons":[{"src":)" : "",
                      with_icons ? ToJsonString(kServerIcon) : "",
                      with_icons ? R"(,"mimeType":"image/png","sizes":["48x48"]}])" : "", "}");
}

}  // namespace contree::gateway
