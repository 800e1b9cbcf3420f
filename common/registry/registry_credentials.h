#ifndef COMMON_REGISTRY_REGISTRY_CREDENTIALS_H_
#define COMMON_REGISTRY_REGISTRY_CREDENTIALS_H_

#include <string>

#include "common/secret/secret_string.h"

namespace contree {

// What lets somebody in. Not thread-safe.
struct RegistryCredentials {
  // Empty, or "<token>" as Docker's tools write it: `secret` is an identity (refresh) token.
  std::string username = "";
  SecretString secret = {};  // empty: anonymous
  // The one address of a token server that may see the secret, besides the registry itself. Empty:
  // none was pinned, and only a token server on the registry's own host (or the one that everybody
  // knows to belong to it) may.
  std::string realm = "";

  bool IsAnonymous() const { return secret.empty(); }
  bool IsIdentityToken() const {
    return !secret.empty() && (username.empty() || username == "<token>");
  }
};

}  // namespace contree

#endif  // COMMON_REGISTRY_REGISTRY_CREDENTIALS_H_
