#include "common/auth/keys_authenticator.h"

#include <openssl/crypto.h>

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/files/sha256.h"
#include "common/status/status_macros.h"
#include "common/text/hex.h"

namespace contree {
namespace {

constexpr size_t kMaxFileBytes = 4 << 20;

uint64_t Prefix(absl::string_view hash) {
  uint64_t prefix = 0;
  std::memcpy(&prefix, hash.data(), sizeof prefix);
  return prefix;
}

absl::Status LineError(int number, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("line ", number, " of the keys: ", what));
}

}  // namespace

absl::StatusOr<std::unique_ptr<KeysAuthenticator>> KeysAuthenticator::Open(
    const std::string& keys_file) {
  std::unique_ptr<KeysAuthenticator> keys(new KeysAuthenticator());
  ASSIGN_OR_RETURN(keys->file_, ReloadedFile::Open(keys_file, kMaxFileBytes,
                                                   [keys = keys.get()](const std::string& text) {
                                                     return keys->Load(text);
                                                   }));
  return keys;
}

absl::Status KeysAuthenticator::Load(absl::string_view text) {
  auto keys = std::make_shared<Keys>();
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = line.substr(0, line.find('#'));
    const std::vector<std::string> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    if (words.empty()) continue;
    // Never the line itself: somebody may have put the key in it.
    if (words.size() < 3 || !IsSha256Hex(words[0])) {
      return LineError(number,
                       "it must be SHA256 TENANT PRINCIPAL [SCOPE...], with the SHA-256 of the key "
                       "as 64 lower-case hexadecimal digits (printf %s KEY | sha256sum)");
    }
    if (!IsTenantName(words[1])) {
      return LineError(number,
                       "a tenant is named by letters, digits, - _ and . (not first), at most 128");
    }
    if (!IsPrincipalName(words[2])) {
      return LineError(number, "a principal is named by at most 256 printable ASCII characters");
    }
    Key key = {.hash = BytesOfHex(words[0]),
               .identity = {.tenant = words[1], .principal = words[2], .scopes = {}}};
    for (size_t i = 3; i < words.size(); ++i) {
      const Scopes before = key.identity.scopes;
      key.identity.scopes.Add(words[i]);
      if (key.identity.scopes == before) {
        return LineError(number, "the scopes are contree:read and contree:run, each at most once");
      }
    }
    if (words.size() == 3) key.identity.scopes = kAllScopes;
    std::vector<Key>& bucket = (*keys)[Prefix(key.hash)];
    for (const Key& other : bucket) {
      if (other.hash == key.hash) return LineError(number, "the same key stands in another line");
    }
    bucket.push_back(std::move(key));
  }
  const absl::MutexLock lock(&mutex_);
  keys_ = std::move(keys);
  return absl::OkStatus();
}

absl::StatusOr<Identity> KeysAuthenticator::Authenticate(absl::string_view bearer_token) {
  if (bearer_token.empty() || bearer_token.size() > kMaxBearerTokenBytes) return NotAuthenticated();
  std::shared_ptr<const Keys> keys;
  {
    const absl::MutexLock lock(&mutex_);
    keys = keys_;
  }
  const std::string hash = Sha256Bytes(bearer_token);
  const auto bucket = keys->find(Prefix(hash));
  if (bucket == keys->end()) return NotAuthenticated();
  for (const Key& key : bucket->second) {
    if (CRYPTO_memcmp(key.hash.data(), hash.data(), hash.size()) == 0) return key.identity;
  }
  return NotAuthenticated();
}

}  // namespace contree
