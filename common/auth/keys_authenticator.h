#ifndef COMMON_AUTH_KEYS_AUTHENTICATOR_H_
#define COMMON_AUTH_KEYS_AUTHENTICATOR_H_

// --auth=keys: who holds which bearer key, from a file of lines
//
//   SHA-256-OF-THE-KEY TENANT PRINCIPAL [SCOPE…]
//
// with 64 lower-case hexadecimal digits (printf %s KEY | sha256sum), and comments from # on. A line
// without scopes has both, contree:read and contree:run. The file is read again when it changes;
// one that cannot be used is logged, and the keys of before hold.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "common/auth/authenticator.h"
#include "common/files/reloaded_file.h"

namespace contree {

// Thread-safe.
class KeysAuthenticator final : public Authenticator {
 public:
  // NotFound and others: the file cannot be read. InvalidArgument: names the line, never what is in
  // it.
  static absl::StatusOr<std::unique_ptr<KeysAuthenticator>> Open(const std::string& keys_file);

  absl::StatusOr<Identity> Authenticate(absl::string_view bearer_token) override;

 private:
  struct Key {
    std::string hash;  // 32 bytes
    Identity identity;
  };
  // By the first 8 bytes of the hash; the whole of it is compared in constant time.
  using Keys = absl::flat_hash_map<uint64_t, std::vector<Key>>;

  KeysAuthenticator() = default;
  absl::Status Load(absl::string_view text);

  absl::Mutex mutex_;
  std::shared_ptr<const Keys> keys_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<ReloadedFile> file_;  // last: its thread loads
};

}  // namespace contree

#endif  // COMMON_AUTH_KEYS_AUTHENTICATOR_H_
