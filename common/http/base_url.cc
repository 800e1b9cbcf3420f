#include "common/http/base_url.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace contree {

absl::StatusOr<BaseUrl> ParseBaseUrl(absl::string_view url) {
  const auto invalid = [&url] {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", url, "\" is no base URL: it must look like https://HOST[:PORT][/PREFIX]"));
  };
  const size_t scheme = url.find("://");
  if (scheme == absl::string_view::npos ||
      (url.substr(0, scheme) != "http" && url.substr(0, scheme) != "https")) {
    return invalid();
  }
  const size_t host = scheme + 3;
  const size_t path = std::min(url.find('/', host), url.size());
  if (path == host || url.find_first_of("?#@ \t\r\n") != absl::string_view::npos) return invalid();
  BaseUrl base;
  base.is_tls = scheme == 5;
  base.port = base.is_tls ? 443 : 80;
  base.origin = std::string(url.substr(0, path));
  base.host = base.origin.substr(host);
  // A colon behind the host (which is in brackets if it has colons itself) must begin a port.
  const size_t bracket = base.host.rfind(']') + 1;
  const size_t colon = base.host.find(':', bracket);
  if (colon != std::string::npos) {
    if (!absl::SimpleAtoi(base.host.substr(colon + 1), &base.port) || base.port < 1 ||
        base.port > 65535) {
      return invalid();
    }
    base.host.resize(colon);
  }
  if (bracket > 0) {
    if (base.host.front() != '[' || base.host.size() != bracket) return invalid();
    base.host = base.host.substr(1, bracket - 2);
  }
  if (base.host.empty()) return invalid();
  base.prefix = std::string(url.substr(path));
  while (absl::EndsWith(base.prefix, "/")) base.prefix.pop_back();
  return base;
}

}  // namespace contree
