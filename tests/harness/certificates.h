#ifndef TESTS_HARNESS_CERTIFICATES_H_
#define TESTS_HARNESS_CERTIFICATES_H_

// Keys and certificates of a test's own. Thread-safe; a failure ends the program.

#include <string>

#include "absl/strings/string_view.h"

namespace contree::testing_harness {

enum class KeyKind { kRsa, kEllipticCurve };

struct Certificate {
  std::string key_pem;
  std::string certificate_pem;
};

// Signed by itself: an authority for servers' certificates, or the key of a token issuer.
Certificate MakeAuthority(KeyKind kind);
// For localhost, 127.0.0.1 and registry.example.com.
Certificate MakeServerCertificate(const Certificate& authority);

// A JSON Web Token signed with RS256 or ES256, as the key is; its header names the key as
// docker-registry wants it.
std::string SignToken(const Certificate& issuer, absl::string_view claims_json);

}  // namespace contree::testing_harness

#endif  // TESTS_HARNESS_CERTIFICATES_H_
