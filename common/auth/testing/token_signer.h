#ifndef COMMON_AUTH_TESTING_TOKEN_SIGNER_H_
#define COMMON_AUTH_TESTING_TOKEN_SIGNER_H_

// An issuer of JSON Web Tokens of a test's own: a key, its public part, and whatever it signs.

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/string_view.h"

struct evp_pkey_st;

namespace contree {

// Immutable, thread-safe. A failure ends the program.
class TokenSigner {
 public:
  // `algorithm`: RS256, ES256 or EdDSA.
  TokenSigner(const std::string& algorithm, const std::string& key_id, int rsa_bits = 2048);

  nlohmann::json PublicJwk() const;
  // A token with the header {"alg", "kid"} of this key.
  std::string Sign(const nlohmann::json& claims) const;
  // With any header, signed with this key as it signs.
  std::string Sign(const nlohmann::json& header, const nlohmann::json& claims) const;

 private:
  const std::string algorithm_;
  const std::string key_id_;
  const std::shared_ptr<evp_pkey_st> key_;
};

// {"keys": […]}
std::string JwkSetText(std::initializer_list<const TokenSigner*> signers);

std::string Base64Url(absl::string_view bytes);

}  // namespace contree

#endif  // COMMON_AUTH_TESTING_TOKEN_SIGNER_H_
