#ifndef COMMON_REGISTRY_TOKEN_EXCHANGE_H_
#define COMMON_REGISTRY_TOKEN_EXCHANGE_H_

// How a registry's token server turns credentials into a short-lived token: OAuth2 POST with a
// password or a refresh token, falling back to GET with Basic authentication where a server does
// not know POST (as containerd's resolver does), and GET without credentials for anonymous access.
//
// The realm rule: credentials go only to the realm that was pinned for them or, where none was, to
// the registry's own host. A realm is https unless the registry is insecure, and it never redirects
// us. Thread-safe.

#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/registry/registry_credentials.h"
#include "common/registry/registry_transport.h"
#include "common/rpc/call_context.h"
#include "common/secret/secret_string.h"
#include "common/time/clock.h"

namespace contree {

struct RegistryToken {
  SecretString value;
  absl::Time issued_at;
  absl::Time expires_at;
};

struct TokenRequest {
  std::string registry;             // on whose behalf
  std::string realm;                // as its challenge names it
  std::string service;              // likewise; empty: none
  std::vector<std::string> scopes;  // "repository:library/alpine:pull"
};

// OK: `realm` may be sent `credentials` of `registry`. PermissionDenied: it may not; the message
// says why and what to do.
absl::Status CheckRealm(const std::string& registry, const std::string& realm,
                        const RegistryCredentials& credentials);

class TokenExchange {
 public:
  // Both must outlive it.
  TokenExchange(RegistryTransport* transport, Clock* clock)
      : transport_(transport), clock_(clock) {}

  // PermissionDenied: the realm rule, or the server refuses the credentials. FailedPrecondition:
  // the server's answer is no token. ResourceExhausted: it asks to slow down (429) longer than the
  // deadline allows, or sends too much. Unavailable, DeadlineExceeded, Cancelled.
  absl::StatusOr<RegistryToken> Fetch(const TokenRequest& request,
                                      const RegistryCredentials& credentials,
                                      const CallContext& context);

 private:
  struct Answer {
    int status = 0;
    absl::StatusOr<RegistryToken> token;
  };

  Answer Post(const TokenRequest& request, const RegistryCredentials& credentials,
              const CallContext& context);
  Answer Get(const TokenRequest& request, const RegistryCredentials& credentials,
             const CallContext& context);
  Answer Send(const TokenRequest& request, const std::string& url, HttpRequest http,
              const CallContext& context);

  RegistryTransport* const transport_;
  Clock* const clock_;
  absl::Mutex mutex_;
  // Realms that do not know POST: asked by GET at once.
  absl::flat_hash_set<std::string> without_post_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace contree

#endif  // COMMON_REGISTRY_TOKEN_EXCHANGE_H_
