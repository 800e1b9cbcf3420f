#ifndef COMMON_AUTH_AUTHENTICATOR_H_
#define COMMON_AUTH_AUTHENTICATOR_H_

// Who a caller is, by the bearer token that it shows. The HTTP edge of the gateway and every gRPC
// server ask the same way.

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/auth/identity.h"

namespace contree {

// The largest token that is looked at, in bytes.
inline constexpr size_t kMaxBearerTokenBytes = 16 * 1024;

class Authenticator {
 public:
  virtual ~Authenticator() = default;

  // `bearer_token` is empty where the caller shows none. Thread-safe; computes only: it waits for
  // no file and no network. Unauthenticated: no token, or none that holds; always the same text
  // (NotAuthenticated), for whoever has no token learns nothing.
  virtual absl::StatusOr<Identity> Authenticate(absl::string_view bearer_token) = 0;
};

// The one answer to callers that are nobody.
absl::Status NotAuthenticated();
// PermissionDenied: the one answer to callers whose token lacks a scope; it names the scope.
absl::Status ScopeMissing(Scope scope);

// The token of an Authorization header or metadata value ("Bearer TOKEN", the scheme in any case);
// empty where it is none.
absl::string_view BearerTokenOf(absl::string_view authorization);

}  // namespace contree

#endif  // COMMON_AUTH_AUTHENTICATOR_H_
