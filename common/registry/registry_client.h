#ifndef COMMON_REGISTRY_REGISTRY_CLIENT_H_
#define COMMON_REGISTRY_REGISTRY_CLIENT_H_

// Reading from OCI registries (the distribution API), with whatever authentication they ask for:
// none, Basic, Bearer. Credentials travel by the rules of RegistryTransport and TokenExchange, and
// never across a redirect. Thread-safe.

#include <cstddef>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/http/http_client.h"
#include "common/registry/reference.h"
#include "common/registry/registry_credentials.h"
#include "common/registry/registry_transport.h"
#include "common/registry/token_cache.h"
#include "common/registry/token_exchange.h"
#include "common/rpc/call_context.h"
#include "common/time/clock.h"

namespace contree {

// On whose behalf and with what a registry is read.
struct RegistryAccess {
  RegistryCredentials credentials = {};
  // Changes whenever the credentials do; "" for anonymous access.
  std::string credential_version = "";
};

class RegistryClient {
 public:
  // All must outlive it.
  RegistryClient(RegistryTransport* transport, TokenExchange* tokens, TokenCache* cache,
                 Clock* clock)
      : transport_(transport), tokens_(tokens), cache_(cache), clock_(clock) {}

  // GET of /v2/REPOSITORY/`path` ("manifests/latest", "blobs/sha256:…"). The sink sees the final
  // answer of a success only (200, 206); an attempt that was refused is not shown to it.
  // NotFound: the registry has no such thing (or hides it). PermissionDenied: it refuses these
  // credentials, or a rule for them does. Unauthenticated: it wants some, or its certificate does
  // not verify. ResourceExhausted: it asks to slow down longer than the deadline allows.
  // FailedPrecondition: its authentication, or its answer, is none that we know. Unavailable,
  // DeadlineExceeded, Cancelled; the sink's own error.
  absl::Status Get(const ImageReference& reference, const std::string& path,
                   const HttpHeaders& headers, const RegistryAccess& access,
                   const CallContext& context, const HttpResponseSink& sink);

  // Whether the registry takes the credentials; the realm that they were sent to (to be pinned),
  // "" for none. Asks anew, past the cache. `credentials.realm` empty: the realm that the registry
  // names now is accepted. Same errors.
  absl::StatusOr<std::string> Validate(const std::string& registry,
                                       const RegistryCredentials& credentials,
                                       const CallContext& context);

  // Makes sure that a pull of the reference's repository is allowed: a token is at hand, or none is
  // needed. Costs no request while a token is cached. Same errors.
  absl::Status AuthorizePull(const ImageReference& reference, const RegistryAccess& access,
                             const CallContext& context);

  TokenCache& cache() { return *cache_; }

 private:
  // How a registry asked for authentication last.
  enum class Scheme { kUnknown, kNone, kBasic, kBearer };
  struct Demand {
    Scheme scheme = Scheme::kUnknown;
    std::string realm = "";
    std::string service = "";
    std::vector<std::string> scopes = {};  // that a challenge asked for besides
    bool is_insufficient_scope = false;
  };
  struct Target {
    std::string registry;
    std::string target;                    // path at the registry
    std::vector<std::string> scopes = {};  // that it is expected to want
  };

  absl::Status Exchange(const Target& target, const HttpHeaders& headers,
                        const RegistryAccess& access, const CallContext& context,
                        const HttpResponseSink& sink);
  absl::Status FollowRedirects(const Target& target, std::string url, const HttpHeaders& headers,
                               const CallContext& context, const HttpResponseSink& sink);
  absl::StatusOr<SecretString> Authorization(const Target& target, const Demand& demand,
                                             const RegistryAccess& access,
                                             const CallContext& context);
  // Reads the challenges of a 401; kUnknown: none that we can meet.
  static Demand DemandOf(const std::vector<std::string>& challenges);
  // Asks the registry, without credentials, what it wants, and remembers it.
  absl::StatusOr<Demand> Probe(const std::string& registry, const CallContext& context);
  Demand LastDemand(const std::string& registry) const;
  void Remember(const std::string& registry, const Demand& demand);

  RegistryTransport* const transport_;
  TokenExchange* const tokens_;
  TokenCache* const cache_;
  Clock* const clock_;
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<std::string, Demand> demands_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace contree

#endif  // COMMON_REGISTRY_REGISTRY_CLIENT_H_
