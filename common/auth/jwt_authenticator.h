#ifndef COMMON_AUTH_JWT_AUTHENTICATOR_H_
#define COMMON_AUTH_JWT_AUTHENTICATOR_H_

// --auth=jwt: JSON Web Tokens (RFC 7519) that an issuer elsewhere has signed with RS256, ES256 or
// EdDSA. A token must name our issuer and our audience, have an expiry, and name its tenant in one
// claim. Scopes are what "scope" or "scp" says; a token without either may do nothing. What was
// verified is remembered by the SHA-256 of the token until it expires or the issuer's keys change.

#include <cstddef>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/auth/authenticator.h"
#include "common/auth/jwk_source.h"
#include "common/time/clock.h"

namespace contree {

struct JwtOptions {
  std::string issuer = "";    // "iss", exactly
  std::string audience = "";  // "aud", or one of them
  std::string tenant_claim = "tenant";
  // How far the issuer's clock and ours may be apart.
  absl::Duration clock_skew = absl::Seconds(60);
  size_t max_cached_tokens = 10'000;
};

// Thread-safe.
class JwtAuthenticator final : public Authenticator {
 public:
  // `clock` must outlive it.
  JwtAuthenticator(JwtOptions options, std::unique_ptr<JwkSource> keys, Clock* clock);

  absl::StatusOr<Identity> Authenticate(absl::string_view bearer_token) override;

 private:
  struct Verified {
    Identity identity;
    absl::Time not_before;
    absl::Time expires;
  };

  // nullptr: it does not hold, whenever.
  std::shared_ptr<const Verified> Verify(absl::string_view token, const JwkSet& keys);
  std::shared_ptr<const Verified> ReadClaims(absl::string_view json) const;
  void Remember(const std::string& hash, std::shared_ptr<const Verified> verified,
                const std::shared_ptr<const JwkSet>& keys, absl::Time now);

  const JwtOptions options_;
  const std::unique_ptr<JwkSource> source_;
  Clock* const clock_;

  absl::Mutex mutex_;
  // Those that verified what is remembered.
  std::shared_ptr<const JwkSet> remembered_keys_ ABSL_GUARDED_BY(mutex_);
  // By the SHA-256 of the token.
  absl::flat_hash_map<std::string, std::shared_ptr<const Verified>> remembered_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace contree

#endif  // COMMON_AUTH_JWT_AUTHENTICATOR_H_
