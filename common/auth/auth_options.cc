#include "common/auth/auth_options.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/auth/jwk_source.h"
#include "common/auth/jwt_authenticator.h"
#include "common/auth/keys_authenticator.h"
#include "common/status/status_macros.h"
#include "common/time/clock.h"

namespace contree {
namespace {

// A JwtAuthenticator with the clock that it goes by.
class JwtByRealClock final : public Authenticator {
 public:
  static absl::StatusOr<std::unique_ptr<Authenticator>> Open(const AuthOptions& options) {
    auto made = std::make_unique<JwtByRealClock>();
    std::unique_ptr<JwkSource> keys;
    if (absl::StrContains(options.jwt_jwks, "://")) {
      JwkUrlOptions url;
      url.url = options.jwt_jwks;
      ASSIGN_OR_RETURN(keys, JwkUrl::Open(url, &made->clock_));
    } else {
      ASSIGN_OR_RETURN(keys, JwkFile::Open(options.jwt_jwks));
    }
    made->authenticator_ =
        std::make_unique<JwtAuthenticator>(JwtOptions{.issuer = options.jwt_issuer,
                                                      .audience = options.jwt_audience,
                                                      .tenant_claim = options.jwt_tenant_claim},
                                           std::move(keys), &made->clock_);
    return made;
  }

  absl::StatusOr<Identity> Authenticate(absl::string_view bearer_token) override {
    return authenticator_->Authenticate(bearer_token);
  }

 private:
  RealClock clock_;
  std::unique_ptr<JwtAuthenticator> authenticator_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Authenticator>> OpenAuthenticator(const AuthOptions& options) {
  if (options.mode == "none") return nullptr;
  if (options.mode == "keys") {
    if (options.keys_file.empty()) {
      return absl::InvalidArgumentError("--auth=keys needs --auth-keys-file");
    }
    return KeysAuthenticator::Open(options.keys_file);
  }
  if (options.mode != "jwt") {
    return absl::InvalidArgumentError(
        absl::StrCat("--auth is '", options.mode, "'; it must be none, keys or jwt"));
  }
  const std::pair<const char*, const std::string*> needed[] = {
      {"--jwt-issuer", &options.jwt_issuer},
      {"--jwt-audience", &options.jwt_audience},
      {"--jwt-jwks", &options.jwt_jwks},
      {"--jwt-tenant-claim", &options.jwt_tenant_claim}};
  for (const auto& [flag, value] : needed) {
    if (value->empty()) return absl::InvalidArgumentError(absl::StrCat("--auth=jwt needs ", flag));
  }
  return JwtByRealClock::Open(options);
}

}  // namespace contree
