#include "common/auth/jwt_authenticator.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_split.h"
#include "common/files/sha256.h"

namespace contree {
namespace {

using nlohmann::json;

const json* Find(const json& object, const std::string& name) {
  const auto found = object.find(name);
  return found == object.end() ? nullptr : &*found;
}

std::optional<std::string> Text(const json& object, const std::string& name) {
  const json* value = Find(object, name);
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return value->get<std::string>();
}

// NumericDate: seconds, perhaps with a fraction.
std::optional<absl::Time> Date(const json& value) {
  constexpr double kLatest = 253402300799;  // the end of the year 9999
  if (!value.is_number()) return std::nullopt;
  const double seconds = value.get<double>();
  if (!std::isfinite(seconds) || seconds < 0 || seconds > kLatest) return std::nullopt;
  return absl::UnixEpoch() + absl::Seconds(seconds);
}

std::optional<json> DecodeObject(absl::string_view base64) {
  std::string text;
  if (!absl::WebSafeBase64Unescape(base64, &text)) return std::nullopt;
  json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return std::nullopt;
  return object;
}

bool Names(const json& audience, const std::string& wanted) {
  if (audience.is_string()) return audience.get_ref<const std::string&>() == wanted;
  if (!audience.is_array()) return false;
  for (const json& one : audience) {
    if (one.is_string() && one.get_ref<const std::string&>() == wanted) return true;
  }
  return false;
}

void AddScopes(const json& claim, Scopes& scopes) {
  if (claim.is_string()) {
    for (const absl::string_view name :
         absl::StrSplit(claim.get_ref<const std::string&>(), ' ', absl::SkipEmpty())) {
      scopes.Add(name);
    }
  } else if (claim.is_array()) {
    for (const json& name : claim) {
      if (name.is_string()) scopes.Add(name.get_ref<const std::string&>());
    }
  }
}

}  // namespace

JwtAuthenticator::JwtAuthenticator(JwtOptions options, std::unique_ptr<JwkSource> keys,
                                   Clock* clock)
    : options_(std::move(options)), source_(std::move(keys)), clock_(clock) {}

absl::StatusOr<Identity> JwtAuthenticator::Authenticate(absl::string_view bearer_token) {
  if (bearer_token.empty() || bearer_token.size() > kMaxBearerTokenBytes) return NotAuthenticated();
  const std::shared_ptr<const JwkSet> keys = source_->Keys();
  const absl::Time now = clock_->Now();
  const std::string hash = Sha256Bytes(bearer_token);
  std::shared_ptr<const Verified> verified;
  {
    const absl::ReaderMutexLock lock(&mutex_);
    if (remembered_keys_ == keys) {
      if (const auto found = remembered_.find(hash); found != remembered_.end()) {
        verified = found->second;
      }
    }
  }
  const bool is_new = verified == nullptr;
  if (is_new) verified = Verify(bearer_token, *keys);
  if (verified == nullptr || now >= verified->expires || now < verified->not_before) {
    return NotAuthenticated();
  }
  if (is_new) Remember(hash, verified, keys, now);
  return verified->identity;
}

std::shared_ptr<const JwtAuthenticator::Verified> JwtAuthenticator::Verify(absl::string_view token,
                                                                           const JwkSet& keys) {
  const std::vector<absl::string_view> parts = absl::StrSplit(token, '.');
  if (parts.size() != 3) return nullptr;
  const std::optional<json> header = DecodeObject(parts[0]);
  std::string signature;
  if (!header.has_value() || !absl::WebSafeBase64Unescape(parts[2], &signature)) return nullptr;
  // "crit" names what a verifier must understand; there is nothing of the kind here.
  if (Find(*header, "crit") != nullptr) return nullptr;
  const std::optional<std::string> algorithm = Text(*header, "alg");
  const std::optional<std::string> id = Text(*header, "kid");
  if (!algorithm.has_value()) return nullptr;
  const JsonWebKey* key = nullptr;
  bool is_known = false;
  bool is_ambiguous = false;
  for (const JsonWebKey& candidate : keys) {
    if (id.has_value() && candidate.id() != *id) continue;
    is_known = true;
    // The algorithm is the key's; what the token says only has to be the same.
    if (candidate.algorithm() != *algorithm) continue;
    is_ambiguous = key != nullptr;
    key = &candidate;
  }
  if (!is_known) source_->AskForNewer();
  if (key == nullptr || is_ambiguous) return nullptr;
  const absl::string_view signed_part = token.substr(0, token.rfind('.'));
  if (!key->Verifies(signed_part, signature)) return nullptr;
  std::string claims;
  if (!absl::WebSafeBase64Unescape(parts[1], &claims)) return nullptr;
  return ReadClaims(claims);
}

std::shared_ptr<const JwtAuthenticator::Verified> JwtAuthenticator::ReadClaims(
    absl::string_view text) const {
  const json claims =
      json::parse(text.begin(), text.end(), /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (!claims.is_object() || Text(claims, "iss") != options_.issuer) return nullptr;
  const json* audience = Find(claims, "aud");
  if (audience == nullptr || !Names(*audience, options_.audience)) return nullptr;
  const json* expires = Find(claims, "exp");
  const std::optional<absl::Time> expiry = expires == nullptr ? std::nullopt : Date(*expires);
  if (!expiry.has_value()) return nullptr;
  auto verified = std::make_shared<Verified>();
  verified->expires = *expiry + options_.clock_skew;
  verified->not_before = absl::InfinitePast();
  if (const json* from = Find(claims, "nbf"); from != nullptr) {
    const std::optional<absl::Time> begin = Date(*from);
    if (!begin.has_value()) return nullptr;
    verified->not_before = *begin - options_.clock_skew;
  }
  const std::optional<std::string> tenant = Text(claims, options_.tenant_claim);
  const std::string principal = Text(claims, "sub").value_or("");
  if (!tenant.has_value() || !IsTenantName(*tenant) || !IsPrincipalName(principal)) return nullptr;
  verified->identity.tenant = *tenant;
  verified->identity.principal = principal;
  for (const char* name : {"scope", "scp"}) {
    if (const json* claim = Find(claims, name)) AddScopes(*claim, verified->identity.scopes);
  }
  return verified;
}

void JwtAuthenticator::Remember(const std::string& hash, std::shared_ptr<const Verified> verified,
                                const std::shared_ptr<const JwkSet>& keys, absl::Time now) {
  const absl::MutexLock lock(&mutex_);
  if (remembered_keys_ != keys) {
    remembered_.clear();
    remembered_keys_ = keys;
  }
  if (remembered_.size() >= options_.max_cached_tokens) {
    absl::erase_if(remembered_, [now](const auto& entry) { return now >= entry.second->expires; });
    // All are in use: verifying one anew costs less than an order of their ages.
    if (remembered_.size() >= options_.max_cached_tokens) remembered_.clear();
  }
  remembered_[hash] = std::move(verified);
}

}  // namespace contree
