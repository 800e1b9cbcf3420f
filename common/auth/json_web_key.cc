#include "common/auth/json_web_key.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"

namespace contree {
namespace {

using nlohmann::json;

constexpr size_t kMaxKeys = 64;
constexpr int kMinRsaBits = 2048;
constexpr size_t kMaxRsaBytes = 2048;    // a modulus of 16,384 bits, what OpenSSL verifies with
constexpr size_t kCoordinateBytes = 32;  // of P-256
constexpr size_t kEd25519KeyBytes = 32;
constexpr size_t kEd25519SignatureBytes = 64;

using KeyPtr = std::shared_ptr<EVP_PKEY>;
template <typename T, void (*Free)(T*)>
struct Deleter {
  void operator()(T* object) const { Free(object); }
};
using BigNumber = std::unique_ptr<BIGNUM, Deleter<BIGNUM, BN_free>>;
using ParamBuilder = std::unique_ptr<OSSL_PARAM_BLD, Deleter<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>>;
using Params = std::unique_ptr<OSSL_PARAM, Deleter<OSSL_PARAM, OSSL_PARAM_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Deleter<EVP_PKEY_CTX, EVP_PKEY_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX, EVP_MD_CTX_free>>;

const unsigned char* Bytes(absl::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

KeyPtr Own(EVP_PKEY* key) { return key == nullptr ? nullptr : KeyPtr(key, EVP_PKEY_free); }

std::string Text(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// The bytes of a base64url member; empty where there are none.
std::string Decoded(const json& object, const char* name) {
  std::string bytes;
  if (!absl::WebSafeBase64Unescape(Text(object, name), &bytes)) return "";
  return bytes;
}

KeyPtr FromParams(const char* type, OSSL_PARAM_BLD* builder) {
  const Params params(OSSL_PARAM_BLD_to_param(builder));
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (params == nullptr || context == nullptr || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
    return nullptr;
  }
  return Own(key);
}

KeyPtr RsaKey(const json& object) {
  const std::string modulus = Decoded(object, "n");
  const std::string exponent = Decoded(object, "e");
  if (modulus.size() > kMaxRsaBytes || exponent.empty() || exponent.size() > 8) return nullptr;
  const BigNumber n(BN_bin2bn(Bytes(modulus), static_cast<int>(modulus.size()), nullptr));
  const BigNumber e(BN_bin2bn(Bytes(exponent), static_cast<int>(exponent.size()), nullptr));
  if (n == nullptr || e == nullptr || BN_num_bits(n.get()) < kMinRsaBits || !BN_is_odd(e.get()) ||
      BN_is_one(e.get())) {
    return nullptr;
  }
  const ParamBuilder builder(OSSL_PARAM_BLD_new());
  if (OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1) {
    return nullptr;
  }
  return FromParams("RSA", builder.get());
}

KeyPtr EllipticKey(const json& object) {
  const std::string x = Decoded(object, "x");
  const std::string y = Decoded(object, "y");
  if (Text(object, "crv") != "P-256" || x.size() != kCoordinateBytes ||
      y.size() != kCoordinateBytes) {
    return nullptr;
  }
  const std::string point = "\x04" + x + y;  // uncompressed
  const ParamBuilder builder(OSSL_PARAM_BLD_new());
  if (OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) !=
          1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                       point.size()) != 1) {
    return nullptr;
  }
  KeyPtr key = FromParams("EC", builder.get());
  if (key == nullptr) return nullptr;
  const KeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
  return EVP_PKEY_public_check(context.get()) == 1 ? key : nullptr;
}

KeyPtr EdwardsKey(const json& object) {
  const std::string x = Decoded(object, "x");
  if (Text(object, "crv") != "Ed25519" || x.size() != kEd25519KeyBytes) return nullptr;
  return Own(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, Bytes(x), x.size()));
}

// Whether the key says that it is for something else than verifying signatures.
bool IsForOtherUse(const json& object) {
  const std::string use = Text(object, "use");
  if (!use.empty() && use != "sig") return true;
  const auto operations = object.find("key_ops");
  return operations != object.end() && operations->is_array() &&
         std::find(operations->begin(), operations->end(), "verify") == operations->end();
}

// The two numbers of a JWT's ES256 signature in DER, which OpenSSL takes; empty where they are
// none.
std::string DerSignature(absl::string_view raw) {
  if (raw.size() != 2 * kCoordinateBytes) return "";
  const std::unique_ptr<ECDSA_SIG, Deleter<ECDSA_SIG, ECDSA_SIG_free>> signature(ECDSA_SIG_new());
  BigNumber r(BN_bin2bn(Bytes(raw), kCoordinateBytes, nullptr));
  BigNumber s(BN_bin2bn(Bytes(raw.substr(kCoordinateBytes)), kCoordinateBytes, nullptr));
  if (ECDSA_SIG_set0(signature.get(), r.get(), s.get()) != 1) return "";
  (void)r.release();  // they are the signature's now
  (void)s.release();
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(signature.get(), &der);
  if (size <= 0) return "";
  std::string text(reinterpret_cast<char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return text;
}

}  // namespace

bool JsonWebKey::Verifies(absl::string_view text, absl::string_view signature) const {
  const bool is_edwards = algorithm_ == "EdDSA";
  std::string der;
  if (algorithm_ == "ES256") {
    der = DerSignature(signature);
    if (der.empty()) return false;
    signature = der;
  } else if (is_edwards && signature.size() != kEd25519SignatureBytes) {
    return false;
  }
  const DigestContext context(EVP_MD_CTX_new());
  return context != nullptr &&
         EVP_DigestVerifyInit(context.get(), nullptr, is_edwards ? nullptr : EVP_sha256(), nullptr,
                              key_.get()) == 1 &&
         EVP_DigestVerify(context.get(), Bytes(signature), signature.size(), Bytes(text),
                          text.size()) == 1;
}

absl::StatusOr<std::vector<JsonWebKey>> ParseJsonWebKeys(absl::string_view text) {
  const json set =
      json::parse(text.begin(), text.end(), /*cb=*/nullptr, /*allow_exceptions=*/false);
  const auto members = set.is_object() ? set.find("keys") : set.end();
  if (!set.is_object() || members == set.end() || !members->is_array()) {
    return absl::InvalidArgumentError("it is no JSON Web Key Set: {\"keys\": [...]}");
  }
  std::vector<JsonWebKey> keys;
  for (const json& object : *members) {
    if (!object.is_object() || IsForOtherUse(object) || keys.size() == kMaxKeys) continue;
    const std::string type = Text(object, "kty");
    JsonWebKey key;
    if (type == "RSA") {
      key.algorithm_ = "RS256";
      key.key_ = RsaKey(object);
    } else if (type == "EC") {
      key.algorithm_ = "ES256";
      key.key_ = EllipticKey(object);
    } else if (type == "OKP") {
      key.algorithm_ = "EdDSA";
      key.key_ = EdwardsKey(object);
    }
    const std::string algorithm = Text(object, "alg");
    if (key.key_ == nullptr || (!algorithm.empty() && algorithm != key.algorithm_)) continue;
    key.id_ = Text(object, "kid");
    keys.push_back(std::move(key));
  }
  if (keys.empty()) {
    return absl::InvalidArgumentError(
        "it has no key for RS256 (2048 bits or more), ES256 or EdDSA (Ed25519) signatures");
  }
  return keys;
}

}  // namespace contree
