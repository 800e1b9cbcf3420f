#ifndef COMMON_AUTH_JSON_WEB_KEY_H_
#define COMMON_AUTH_JSON_WEB_KEY_H_

// Public keys as issuers of tokens publish them (RFC 7517), and what they have signed. Immutable,
// thread-safe.

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

struct evp_pkey_st;

namespace contree {

// A key signs with the one algorithm of its type: RS256 (RSA of 2048 bits or more), ES256 (P-256)
// or EdDSA (Ed25519).
class JsonWebKey {
 public:
  const std::string& id() const { return id_; }  // "kid"; empty: it has none
  absl::string_view algorithm() const { return algorithm_; }

  // Whether `signature`, as a JWT carries it (raw), is this key's of `text`.
  bool Verifies(absl::string_view text, absl::string_view signature) const;

 private:
  friend absl::StatusOr<std::vector<JsonWebKey>> ParseJsonWebKeys(absl::string_view json);

  std::string id_;
  absl::string_view algorithm_;  // a literal
  std::shared_ptr<evp_pkey_st> key_;
};

// Reads {"keys": […]}. Keys of other types or uses, those that are too weak and those that make no
// sense are left out. InvalidArgument: it is no such object, or none of its keys is left.
absl::StatusOr<std::vector<JsonWebKey>> ParseJsonWebKeys(absl::string_view json);

}  // namespace contree

#endif  // COMMON_AUTH_JSON_WEB_KEY_H_
