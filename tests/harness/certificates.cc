#include "tests/harness/certificates.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include <cstdlib>
#include <iostream>
#include <memory>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace contree::testing_harness {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using X509Ptr = std::unique_ptr<X509, decltype(&X509_free)>;
using BioPtr = std::unique_ptr<BIO, decltype(&BIO_free)>;

constexpr int kCoordinateBytes = 32;  // of P-256

void Require(bool ok, const char* what) {
  if (ok) return;
  std::cerr << "certificates: " << what << " failed" << std::endl;
  std::abort();
}

Key NewKey(KeyKind kind) {
  EVP_PKEY* key = kind == KeyKind::kRsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
  Require(key != nullptr, "making a key");
  return Key(key, EVP_PKEY_free);
}

Key ReadKey(const std::string& pem) {
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
  EVP_PKEY* key = PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr);
  Require(key != nullptr, "reading a key");
  return Key(key, EVP_PKEY_free);
}

X509Ptr ReadCertificate(const std::string& pem) {
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
  X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr);
  Require(certificate != nullptr, "reading a certificate");
  return X509Ptr(certificate, X509_free);
}

template <typename Write>
std::string ToPem(Write write) {
  const BioPtr bio(BIO_new(BIO_s_mem()), BIO_free);
  Require(write(bio.get()) == 1, "writing PEM");
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

void AddExtension(X509* certificate, int kind, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value);
  Require(extension != nullptr, "making an extension");
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

// `issuer` null: signed by itself.
Certificate Sign(EVP_PKEY* key, const char* name, X509* issuer, EVP_PKEY* issuer_key,
                 const char* alternative_names) {
  const X509Ptr certificate(X509_new(), X509_free);
  X509* const raw = certificate.get();
  X509_set_version(raw, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(raw), issuer == nullptr ? 1 : 2);
  X509_gmtime_adj(X509_getm_notBefore(raw), -3600);
  X509_gmtime_adj(X509_getm_notAfter(raw), 24 * 3600);
  X509_set_pubkey(raw, key);
  X509_NAME* subject = X509_get_subject_name(raw);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
  X509_set_issuer_name(raw, issuer == nullptr ? subject : X509_get_subject_name(issuer));
  AddExtension(raw, NID_basic_constraints, issuer == nullptr ? "critical,CA:TRUE" : "CA:FALSE");
  if (alternative_names != nullptr) AddExtension(raw, NID_subject_alt_name, alternative_names);
  Require(X509_sign(raw, issuer_key, EVP_sha256()) > 0, "signing a certificate");
  return {.key_pem = ToPem([key](BIO* bio) {
            return PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
          }),
          .certificate_pem = ToPem([raw](BIO* bio) { return PEM_write_bio_X509(bio, raw); })};
}

std::string Base64Url(absl::string_view bytes) {
  std::string text;
  absl::WebSafeBase64Escape(bytes, &text);
  while (!text.empty() && text.back() == '=') text.pop_back();
  return text;
}

// libtrust's name of a key: 240 bits of its digest in base32, in groups of four.
std::string KeyId(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(der, static_cast<size_t>(size), digest);
  OPENSSL_free(der);
  std::string text;
  unsigned bits = 0;
  int count = 0;
  for (int i = 0; i < 30; ++i) {
    bits = bits << 8 | digest[i];
    for (count += 8; count >= 5; count -= 5) {
      if (text.size() % 5 == 4) text.push_back(':');
      text.push_back("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[bits >> (count - 5) & 31]);
    }
  }
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

Certificate MakeAuthority(KeyKind kind) {
  const Key key = NewKey(kind);
  return Sign(key.get(), "test authority", nullptr, key.get(), nullptr);
}

Certificate MakeServerCertificate(const Certificate& authority) {
  const Key key = NewKey(KeyKind::kEllipticCurve);
  const Key authority_key = ReadKey(authority.key_pem);
  const X509Ptr issuer = ReadCertificate(authority.certificate_pem);
  return Sign(key.get(), "test server", issuer.get(), authority_key.get(),
              "DNS:localhost,DNS:registry.example.com,IP:127.0.0.1");
}

std::string SignToken(const Certificate& issuer, absl::string_view claims_json) {
  const Key key = ReadKey(issuer.key_pem);
  const bool is_rsa = EVP_PKEY_base_id(key.get()) == EVP_PKEY_RSA;
  const std::string header = absl::StrCat(R"({"typ":"JWT","alg":")", is_rsa ? "RS256" : "ES256",
                                          R"(","kid":")", KeyId(key.get()), "\"}");
  const std::string signed_part = absl::StrCat(Base64Url(header), ".", Base64Url(claims_json));
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get());
  const auto* text = reinterpret_cast<const unsigned char*>(signed_part.data());
  size_t size = 0;
  EVP_DigestSign(context.get(), nullptr, &size, text, signed_part.size());
  std::string signature(size, '\0');
  Require(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                         text, signed_part.size()) == 1,
          "signing a token");
  signature.resize(size);
  return absl::StrCat(signed_part, ".", Base64Url(is_rsa ? signature : RawSignature(signature)));
}

}  // namespace contree::testing_harness
