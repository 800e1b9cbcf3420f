#ifndef COMMON_FILES_SHA256_H_
#define COMMON_FILES_SHA256_H_

// SHA-256 of bytes that come in pieces. One object is for one thread.

#include <memory>
#include <string>

#include "absl/strings/string_view.h"

namespace contree {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void Update(absl::string_view bytes);
  // 32 bytes, or 64 lower-case hexadecimal digits, of all since the last Finish.
  std::string Finish();
  std::string FinishHex();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

std::string Sha256Bytes(absl::string_view bytes);  // 32 of them
std::string Sha256Hex(absl::string_view bytes);

// Whether `text` is what FinishHex returns.
bool IsSha256Hex(absl::string_view text);

}  // namespace contree

#endif  // COMMON_FILES_SHA256_H_
