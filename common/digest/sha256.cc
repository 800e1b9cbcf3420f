#include "common/digest/sha256.h"

#include <openssl/evp.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "absl/strings/escaping.h"

namespace contree {
namespace {

// Looked up once: OpenSSL 3 takes longer to find the algorithm than to hash a small file.
const EVP_MD* Algorithm() {
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return algorithm;
}

// None of these calls fails on valid arguments, unless memory has run out or OpenSSL is broken.
void Require(bool succeeded) {
  if (succeeded) return;
  std::fputs("OpenSSL cannot compute SHA-256\n", stderr);
  std::abort();
}

}  // namespace

std::string Sha256Digest::ToHex() const { return absl::BytesToHexString(view()); }

Sha256Digest Sha256FromBytes(absl::string_view bytes) {
  Sha256Digest digest;
  Require(bytes.size() == digest.bytes.size());
  std::memcpy(digest.bytes.data(), bytes.data(), digest.bytes.size());
  return digest;
}

Sha256Digest Sha256Of(absl::string_view data) {
  Sha256 hash;
  hash.Add(data);
  return hash.Finish();
}

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  Require(context_ != nullptr);
  Require(EVP_DigestInit_ex2(context_.get(), Algorithm(), nullptr) == 1);
}

void Sha256::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

void Sha256::Add(absl::string_view data) {
  Require(EVP_DigestUpdate(context_.get(), data.data(), data.size()) == 1);
}

Sha256Digest Sha256::Finish() {
  Sha256Digest digest;
  Require(EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(digest.bytes.data()),
                             nullptr) == 1);
  Require(EVP_DigestInit_ex2(context_.get(), nullptr, nullptr) == 1);
  return digest;
}

}  // namespace contree
