#ifndef TESTS_HARNESS_TOKEN_ISSUER_H_
#define TESTS_HARNESS_TOKEN_ISSUER_H_

// The token server of a registry, in this process: GET with Basic authentication or without, OAuth2
// POST with a password or a refresh token. One user, "alice"; anonymous callers may pull from
// repositories whose name begins with "public/".

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "tests/harness/certificates.h"

namespace httplib {
class Server;
}  // namespace httplib

namespace contree::testing_harness {

inline constexpr char kUser[] = "alice";
inline constexpr char kPassword[] = "correct-horse-battery";
inline constexpr char kRefreshToken[] = "refresh-me-please";
inline constexpr char kTokenIssuer[] = "test-issuer";
inline constexpr char kTokenService[] = "test-registry";

struct TokenIssuerOptions {
  KeyKind key = KeyKind::kRsa;
  int post_status = 200;           // else: it does not know POST and answers so
  int expires_in = 300;            // seconds; 0: not said
  bool says_access_token = false;  // "access_token" instead of "token"
  int busy_answers = 0;            // so many 429 first
};

// Thread-safe.
class TokenIssuer {
 public:
  explicit TokenIssuer(const TokenIssuerOptions& options = {});
  ~TokenIssuer();

  std::string realm() const;  // "http://127.0.0.1:PORT/token"
  const Certificate& certificate() const { return certificate_; }
  // "GET alice scope scope", "POST password alice …", "GET - …": one for each request.
  std::vector<std::string> requests() const;

 private:
  struct Caller {
    bool is_known = true;
    std::string user;  // empty: anonymous
  };
  std::string Token(const std::string& user, const std::vector<std::string>& scopes) const;

  TokenIssuerOptions options_;
  const Certificate certificate_;
  const std::unique_ptr<httplib::Server> server_;
  int port_ = 0;
  std::thread thread_;
  mutable absl::Mutex mutex_;
  std::vector<std::string> requests_ ABSL_GUARDED_BY(mutex_);
  int busy_answers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace contree::testing_harness

#endif  // TESTS_HARNESS_TOKEN_ISSUER_H_
