#ifndef COMMON_HTTP_BASE_URL_H_
#define COMMON_HTTP_BASE_URL_H_

// Where an HTTP API is: "http://HOST[:PORT][/PREFIX]" or https.

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace contree {

struct BaseUrl {
  bool is_tls = false;
  std::string host;    // without the brackets of an IPv6 address
  int port = 0;        // as given, or the scheme's own
  std::string origin;  // scheme, host and port as given
  std::string prefix;  // the path, without a trailing slash
};

// InvalidArgument: it is none, or it carries credentials, a query or a fragment.
absl::StatusOr<BaseUrl> ParseBaseUrl(absl::string_view url);

}  // namespace contree

#endif  // COMMON_HTTP_BASE_URL_H_
