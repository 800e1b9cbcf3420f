#ifndef COMMON_SECRET_KEY_RING_H_
#define COMMON_SECRET_KEY_RING_H_

// Seals secrets with AES-256-GCM. The ring's first key seals; all of them open, so that a key can
// be replaced while what it sealed is still there. Immutable, thread-safe.
//
// A key file has one key a line: 32 bytes in base64. "#" begins a comment.

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/secret/secret_string.h"

namespace contree {

class KeyRing {
 public:
  // Reads a key file. NotFound: there is none. InvalidArgument: not of that form; the message never
  // shows what is in it. PermissionDenied: others than its owner may read it, and
  // `must_be_private`.
  static absl::StatusOr<KeyRing> Load(const std::string& path, bool must_be_private);
  // Reads the key file, or makes it (0600) with a new key.
  static absl::StatusOr<KeyRing> LoadOrMake(const std::string& path);

  // A ring of one new key that is written nowhere.
  static absl::StatusOr<KeyRing> OfNewKey();

  // A ring with a new first key before those of this one.
  absl::StatusOr<KeyRing> WithNewKey() const;
  // A ring with only the first key.
  KeyRing WithFirstKeyOnly() const;
  // Writes the key file in one step (0600).
  absl::Status Save(const std::string& path) const;

  // Returns key id, nonce, ciphertext and tag in one. Only the same `associated` opens it again.
  absl::StatusOr<std::string> Seal(absl::string_view plain, absl::string_view associated) const;
  // FailedPrecondition: another key sealed it. DataLoss: it was changed, or belongs elsewhere.
  absl::StatusOr<SecretString> Open(absl::string_view sealed, absl::string_view associated) const;
  // Whether the first key sealed it.
  bool IsCurrent(absl::string_view sealed) const;

 private:
  struct Key {
    std::string id;
    SecretString bytes;
  };
  static absl::StatusOr<Key> NewKey();
  static Key ToKey(SecretString bytes);

  std::vector<Key> keys_;  // at least one
};

}  // namespace contree

#endif  // COMMON_SECRET_KEY_RING_H_
