#ifndef COMMON_AUTH_AUTH_OPTIONS_H_
#define COMMON_AUTH_AUTH_OPTIONS_H_

// How a server is told to find out who calls.

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/auth/authenticator.h"

namespace contree {

struct AuthOptions {
  std::string mode = "none";   // --auth: none, keys or jwt
  std::string keys_file = "";  // --auth-keys-file, see keys_authenticator.h
  std::string jwt_issuer = "";
  std::string jwt_audience = "";
  std::string jwt_jwks = "";  // a file, or an https URL
  std::string jwt_tenant_claim = "tenant";
};

// nullptr: everybody is let in, as the one tenant of a desk (--auth=none).
// InvalidArgument: another mode, or something that the mode needs is missing or malformed; the
// message names the flag. NotFound and others: a file cannot be read.
absl::StatusOr<std::unique_ptr<Authenticator>> OpenAuthenticator(const AuthOptions& options);

}  // namespace contree

#endif  // COMMON_AUTH_AUTH_OPTIONS_H_
