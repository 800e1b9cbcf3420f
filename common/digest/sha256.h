#ifndef COMMON_DIGEST_SHA256_H_
#define COMMON_DIGEST_SHA256_H_

// SHA-256, whole or in pieces, by OpenSSL, which uses the CPU's instructions for it.

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"

struct evp_md_ctx_st;

namespace contree {

struct Sha256Digest {
  std::array<char, 32> bytes = {};

  absl::string_view view() const { return {bytes.data(), bytes.size()}; }
  // Lower-case hexadecimal.
  std::string ToHex() const;
  bool operator==(const Sha256Digest&) const = default;
  bool IsZero() const { return *this == Sha256Digest(); }

  template <typename H>
  friend H AbslHashValue(H state, const Sha256Digest& digest) {
    return H::combine(std::move(state), digest.bytes);
  }
};

// `bytes` has 32 of them.
Sha256Digest Sha256FromBytes(absl::string_view bytes);

Sha256Digest Sha256Of(absl::string_view data);

// Hashes what is added. Used by one thread at a time; reusable after Finish.
class Sha256 {
 public:
  Sha256();
  void Add(absl::string_view data);
  // The digest of everything added since the last Finish.
  Sha256Digest Finish();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  const std::unique_ptr<evp_md_ctx_st, Free> context_;
};

}  // namespace contree

#endif  // COMMON_DIGEST_SHA256_H_
