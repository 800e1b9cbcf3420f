#include "common/auth/testing/token_signer.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <cstdlib>
#include <iostream>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace contree {
namespace {

using nlohmann::json;

constexpr int kCoordinateBytes = 32;

void Require(bool ok, const char* what) {
  if (ok) return;
  std::cerr << "token_signer: " << what << " failed" << std::endl;
  std::abort();
}

std::shared_ptr<EVP_PKEY> NewKey(const std::string& algorithm, int rsa_bits) {
  EVP_PKEY* key = algorithm == "RS256"   ? EVP_RSA_gen(static_cast<unsigned>(rsa_bits))
                  : algorithm == "ES256" ? EVP_EC_gen("P-256")
                                         : EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  Require(key != nullptr, "making a key");
  return {key, EVP_PKEY_free};
}

std::string NumberOf(EVP_PKEY* key, const char* name, int bytes = 0) {
  BIGNUM* number = nullptr;
  Require(EVP_PKEY_get_bn_param(key, name, &number) == 1, "reading a key");
  std::string text(static_cast<size_t>(bytes > 0 ? bytes : BN_num_bytes(number)), '\0');
  BN_bn2binpad(number, reinterpret_cast<unsigned char*>(text.data()),
               static_cast<int>(text.size()));
  BN_free(number);
  return text;
}

// DER's two numbers as the 64 bytes that ES256 wants.
std::string RawSignature(const std::string& der) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  ECDSA_SIG* signature = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()));
  std::string raw(2 * kCoordinateBytes, '\0');
  auto* out = reinterpret_cast<unsigned char*>(raw.data());
  BN_bn2binpad(ECDSA_SIG_get0_r(signature), out, kCoordinateBytes);
  BN_bn2binpad(ECDSA_SIG_get0_s(signature), out + kCoordinateBytes, kCoordinateBytes);
  ECDSA_SIG_free(signature);
  return raw;
}

}  // namespace

std::string Base64Url(absl::string_view bytes) {
  std::string text = absl::WebSafeBase64Escape(bytes);
  while (!text.empty() && text.back() == '=') text.pop_back();
  return text;
}

TokenSigner::TokenSigner(const std::string& algorithm, const std::string& key_id, int rsa_bits)
    : algorithm_(algorithm), key_id_(key_id), key_(NewKey(algorithm, rsa_bits)) {}

json TokenSigner::PublicJwk() const {
  json jwk = {{"kid", key_id_}, {"alg", algorithm_}, {"use", "sig"}};
  if (algorithm_ == "RS256") {
    jwk["kty"] = "RSA";
    jwk["n"] = Base64Url(NumberOf(key_.get(), OSSL_PKEY_PARAM_RSA_N));
    jwk["e"] = Base64Url(NumberOf(key_.get(), OSSL_PKEY_PARAM_RSA_E));
  } else if (algorithm_ == "ES256") {
    jwk["kty"] = "EC";
    jwk["crv"] = "P-256";
    jwk["x"] = Base64Url(NumberOf(key_.get(), OSSL_PKEY_PARAM_EC_PUB_X, kCoordinateBytes));
    jwk["y"] = Base64Url(NumberOf(key_.get(), OSSL_PKEY_PARAM_EC_PUB_Y, kCoordinateBytes));
  } else {
    std::string x(32, '\0');
    size_t size = x.size();
    EVP_PKEY_get_raw_public_key(key_.get(), reinterpret_cast<unsigned char*>(x.data()), &size);
    jwk["kty"] = "OKP";
    jwk["crv"] = "Ed25519";
    jwk["x"] = Base64Url(x);
  }
  return jwk;
}

std::string TokenSigner::Sign(const json& claims) const {
  return Sign({{"typ", "JWT"}, {"alg", algorithm_}, {"kid", key_id_}}, claims);
}

std::string TokenSigner::Sign(const json& header, const json& claims) const {
  const std::string text = absl::StrCat(Base64Url(header.dump()), ".", Base64Url(claims.dump()));
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  EVP_DigestSignInit(context.get(), nullptr, algorithm_ == "EdDSA" ? nullptr : EVP_sha256(),
                     nullptr, key_.get());
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  size_t size = 0;
  EVP_DigestSign(context.get(), nullptr, &size, bytes, text.size());
  std::string signature(size, '\0');
  Require(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                         bytes, text.size()) == 1,
          "signing a token");
  signature.resize(size);
  return absl::StrCat(text, ".",
                      Base64Url(algorithm_ == "ES256" ? RawSignature(signature) : signature));
}

std::string JwkSetText(std::initializer_list<const TokenSigner*> signers) {
  json keys = json::array();
  for (const TokenSigner* signer : signers) keys.push_back(signer->PublicJwk());
  return json{{"keys", keys}}.dump();
}

}  // namespace contree
