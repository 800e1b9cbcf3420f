#include "contree-service/configured_endpoint.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/files/state_directory.h"
#include "common/status/status_macros.h"

namespace contree {
namespace {

constexpr size_t kMaxTokenBytes = 64 << 10;

bool IsOnThisMachine(absl::string_view url) {
  for (const char* host : {"127.0.0.1", "localhost", "[::1]"}) {
    const std::string origin = absl::StrCat("http://", host);
    if (url == origin || absl::StartsWith(url, origin + ":") || absl::StartsWith(url, origin + "/"))
      return true;
  }
  return false;
}

}  // namespace

absl::Status CheckEndpoint(const ApiEndpoint& endpoint) {
  if (endpoint.token.empty() && !IsOnThisMachine(endpoint.base_url)) {
    return absl::InvalidArgumentError(absl::StrCat("there is no token for ", endpoint.base_url));
  }
  const auto fits = [](absl::string_view text) {
    return std::all_of(text.begin(), text.end(),
                       [](unsigned char c) { return absl::ascii_isgraph(c); });
  };
  if (!fits(endpoint.token))
    return absl::InvalidArgumentError("the token holds white space or control characters");
  if (!fits(endpoint.project))
    return absl::InvalidArgumentError("the project holds white space or control characters");
  return absl::OkStatus();
}

absl::StatusOr<ApiEndpoint> ConfiguredEndpoint::EndpointFor(const CallContext& context) {
  if (context.tenant == kLocalTenant) return endpoint_;
  return absl::UnauthenticatedError(
      absl::StrCat("there are no credentials for the tenant '", context.tenant,
                   "' here: contree-service serves several with --credentials-dir"));
}

absl::StatusOr<ConfiguredEndpoint> ConfiguredEndpoint::Create(const std::string& url,
                                                              const std::string& project,
                                                              const std::string& token_file,
                                                              const std::string& token) {
  ApiEndpoint endpoint = {.base_url = url, .token = token, .project = project, .platform = ""};
  if (!token_file.empty()) {
    ASSIGN_OR_RETURN(endpoint.token, ReadFile(token_file, kMaxTokenBytes));
  }
  endpoint.token = std::string(absl::StripAsciiWhitespace(endpoint.token));
  if (endpoint.token.empty() && !IsOnThisMachine(url)) {
    return absl::InvalidArgumentError(
        absl::StrCat("there is no token for ", url,
                     ": set CONTREE_MCP_TOKEN, or name a file that holds it with --token-file"));
  }
  RETURN_IF_ERROR(CheckEndpoint(endpoint));
  return ConfiguredEndpoint(std::move(endpoint));
}

}  // namespace contree
