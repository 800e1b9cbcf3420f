#ifndef AUTH_SERVICE_REGISTRY_CREDENTIAL_HELPER_H_
#define AUTH_SERVICE_REGISTRY_CREDENTIAL_HELPER_H_

// Docker's credential helpers: programs docker-credential-NAME that are asked by their protocol
// (`get`, the server's address on stdin, JSON on stdout). Thread-safe.

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/registry/registry_credentials.h"

namespace contree {

// nullopt: the helper has none for this server. NotFound: no such helper on the PATH.
// InvalidArgument: the name is none of a helper. DeadlineExceeded: it did not answer in time, and
// was ended. Unavailable: it failed; the message has what it wrote to stderr, never its answer.
absl::StatusOr<std::optional<RegistryCredentials>> AskCredentialHelper(const std::string& name,
                                                                       const std::string& server,
                                                                       absl::Duration timeout);

}  // namespace contree

#endif  // AUTH_SERVICE_REGISTRY_CREDENTIAL_HELPER_H_
