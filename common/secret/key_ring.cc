#include "common/secret/key_ring.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/files/state_directory.h"
#include "common/status/status_macros.h"
#include "common/uuid/uuid.h"

namespace contree {
namespace {

constexpr size_t kKeyBytes = 32;
constexpr size_t kIdBytes = 8;
constexpr size_t kNonceBytes = 12;
constexpr size_t kTagBytes = 16;
constexpr size_t kMaxKeyFile = 64 * 1024;

using Cipher = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

unsigned char* Bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }
const unsigned char* Bytes(absl::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
int Size(absl::string_view text) { return static_cast<int>(text.size()); }

absl::Status CryptoError(absl::string_view what) {
  return absl::InternalError(absl::StrCat("OpenSSL cannot ", what));
}

}  // namespace

KeyRing::Key KeyRing::ToKey(SecretString bytes) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  std::string labelled = absl::StrCat("contree key id\n", bytes.view());
  SHA256(Bytes(labelled), labelled.size(), digest);
  Wipe(labelled);
  return {.id = std::string(reinterpret_cast<const char*>(digest), kIdBytes),
          .bytes = std::move(bytes)};
}

absl::StatusOr<KeyRing::Key> KeyRing::NewKey() {
  std::string bytes(kKeyBytes, '\0');
  if (RAND_bytes(Bytes(bytes), kKeyBytes) != 1) return CryptoError("make a key");
  return ToKey(SecretString(std::move(bytes)));
}

absl::StatusOr<KeyRing> KeyRing::Load(const std::string& path, bool must_be_private) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return absl::NotFoundError(absl::StrCat("there is no key file ", path));
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot look at the key file ", path));
  }
  if (must_be_private && (info.st_mode & 077) != 0) {
    return absl::PermissionDeniedError(
        absl::StrCat("the key file ", path,
                     " can be read by others: chmod 600 it, and store all credentials "
                     "again under a new key if somebody may have"));
  }
  ASSIGN_OR_RETURN(std::string content, ReadFile(path, kMaxKeyFile));
  KeyRing ring;
  int number = 0;
  bool is_valid = true;
  for (absl::string_view line : absl::StrSplit(content, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    std::string bytes;
    is_valid = absl::Base64Unescape(line, &bytes) && bytes.size() == kKeyBytes;
    if (!is_valid) break;
    ring.keys_.push_back(ToKey(SecretString(std::move(bytes))));
  }
  Wipe(content);
  if (!is_valid) {
    return absl::InvalidArgumentError(
        absl::StrCat("line ", number, " of the key file ", path, " is not 32 bytes in base64"));
  }
  if (ring.keys_.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the key file ", path, " holds no key; make one with: head -c 32 /dev/urandom | base64"));
  }
  return ring;
}

absl::StatusOr<KeyRing> KeyRing::LoadOrMake(const std::string& path) {
  absl::StatusOr<KeyRing> loaded = Load(path, /*must_be_private=*/true);
  if (!absl::IsNotFound(loaded.status())) return loaded;
  ASSIGN_OR_RETURN(const KeyRing ring, OfNewKey());
  // Several processes may begin at once: the first file to have the name stays.
  const std::string candidate = absl::StrCat(path, ".", NewUuidV4());
  RETURN_IF_ERROR(ring.Save(candidate));
  const bool linked = link(candidate.c_str(), path.c_str()) == 0 || errno == EEXIST;
  const int error = errno;
  unlink(candidate.c_str());
  if (!linked) return absl::ErrnoToStatus(error, absl::StrCat("cannot make the key file ", path));
  return Load(path, /*must_be_private=*/true);
}

absl::StatusOr<KeyRing> KeyRing::OfNewKey() {
  KeyRing ring;
  ASSIGN_OR_RETURN(Key key, NewKey());
  ring.keys_.push_back(std::move(key));
  return ring;
}

absl::StatusOr<KeyRing> KeyRing::WithNewKey() const {
  KeyRing ring = *this;
  ASSIGN_OR_RETURN(Key key, NewKey());
  ring.keys_.insert(ring.keys_.begin(), std::move(key));
  return ring;
}

KeyRing KeyRing::WithFirstKeyOnly() const {
  KeyRing ring;
  ring.keys_.push_back(keys_.front());
  return ring;
}

absl::Status KeyRing::Save(const std::string& path) const {
  std::string content;
  for (const Key& key : keys_) {
    std::string line = absl::Base64Escape(key.bytes.view());
    absl::StrAppend(&content, line, "\n");
    Wipe(line);
  }
  const absl::Status written = WritePrivateFile(path, content);
  Wipe(content);
  return written;
}

absl::StatusOr<std::string> KeyRing::Seal(absl::string_view plain,
                                          absl::string_view associated) const {
  const Key& key = keys_.front();
  const Cipher cipher(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  std::string nonce(kNonceBytes, '\0');
  std::string text(plain.size(), '\0');
  std::string tag(kTagBytes, '\0');
  int written = 0;
  int rest = 0;
  const bool ok =
      RAND_bytes(Bytes(nonce), kNonceBytes) == 1 &&
      EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, Bytes(key.bytes.view()),
                         Bytes(nonce)) == 1 &&
      EVP_EncryptUpdate(cipher.get(), nullptr, &written, Bytes(associated), Size(associated)) ==
          1 &&
      EVP_EncryptUpdate(cipher.get(), Bytes(text), &written, Bytes(plain), Size(plain)) == 1 &&
      EVP_EncryptFinal_ex(cipher.get(), Bytes(text) + written, &rest) == 1 &&
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, tag.data()) == 1;
  if (!ok) return CryptoError("seal a secret");
  return absl::StrCat(key.id, nonce, text, tag);
}

absl::StatusOr<SecretString> KeyRing::Open(absl::string_view sealed,
                                           absl::string_view associated) const {
  if (sealed.size() < kIdBytes + kNonceBytes + kTagBytes) {
    return absl::DataLossError("a sealed secret is cut short");
  }
  const absl::string_view id = sealed.substr(0, kIdBytes);
  const absl::string_view nonce = sealed.substr(kIdBytes, kNonceBytes);
  std::string tag(sealed.substr(sealed.size() - kTagBytes));
  sealed = sealed.substr(kIdBytes + kNonceBytes);
  sealed.remove_suffix(kTagBytes);
  for (const Key& key : keys_) {
    if (key.id != id) continue;
    const Cipher cipher(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
    std::string plain(sealed.size(), '\0');
    int written = 0;
    int rest = 0;
    const bool ok =
        EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, Bytes(key.bytes.view()),
                           Bytes(nonce)) == 1 &&
        EVP_DecryptUpdate(cipher.get(), nullptr, &written, Bytes(associated), Size(associated)) ==
            1 &&
        EVP_DecryptUpdate(cipher.get(), Bytes(plain), &written, Bytes(sealed), Size(sealed)) == 1 &&
        EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()) == 1 &&
        EVP_DecryptFinal_ex(cipher.get(), Bytes(plain) + written, &rest) == 1;
    if (ok) return SecretString(std::move(plain));
    Wipe(plain);
    return absl::DataLossError("a sealed secret was changed, or belongs to somebody else");
  }
  return absl::FailedPreconditionError(
      "a secret is sealed with a key that is not in the key file: put that key back, behind the "
      "newer one, or store the credentials again");
}

bool KeyRing::IsCurrent(absl::string_view sealed) const {
  return sealed.substr(0, kIdBytes) == keys_.front().id;
}

}  // namespace contree
