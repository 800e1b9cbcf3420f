#include "common/secret/secret_string.h"

#include <openssl/crypto.h>

#include <utility>

namespace contree {

void Wipe(std::string& text) {
  text.resize(text.capacity());
  if (!text.empty()) OPENSSL_cleanse(text.data(), text.size());
  text.clear();
}

SecretString::SecretString(std::string&& text) : text_(std::move(text)) {
  Wipe(text);  // NOLINT(clang-analyzer-cplusplus.Move): a short text is copied by a move
}

SecretString::SecretString(SecretString&& other) noexcept : text_(std::move(other.text_)) {
  Wipe(other.text_);
}

SecretString& SecretString::operator=(const SecretString& other) {
  if (this == &other) return *this;
  Wipe(text_);
  text_ = other.text_;
  return *this;
}

SecretString& SecretString::operator=(SecretString&& other) noexcept {
  if (this == &other) return *this;
  Wipe(text_);
  text_ = std::move(other.text_);
  Wipe(other.text_);
  return *this;
}

}  // namespace contree
