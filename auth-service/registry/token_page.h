#ifndef AUTH_SERVICE_REGISTRY_TOKEN_PAGE_H_
#define AUTH_SERVICE_REGISTRY_TOKEN_PAGE_H_

// Where a person makes a token for a registry. Thread-safe.

#include <string>

#include "absl/strings/string_view.h"

namespace contree {

struct TokenPage {
  std::string url;          // empty: none is known
  std::string instruction;  // what to do there, and what to give to registry_auth
};

// `registry` as ParseRegistry returns it.
TokenPage TokenPageOf(absl::string_view registry);

}  // namespace contree

#endif  // AUTH_SERVICE_REGISTRY_TOKEN_PAGE_H_
