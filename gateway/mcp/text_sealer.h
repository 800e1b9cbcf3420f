#ifndef GATEWAY_MCP_TEXT_SEALER_H_
#define GATEWAY_MCP_TEXT_SEALER_H_

// Text that a client keeps for the server: it can neither read it nor change it, nor hand it in for
// anything but what it was made for, nor later than it should. Gateways that share a key file open
// each other's.

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/secret/key_ring.h"

namespace contree::gateway {

// Immutable, thread-safe.
class TextSealer {
 public:
  // `is_shared`: other processes have the keys too.
  TextSealer(KeyRing keys, bool is_shared) : keys_(std::move(keys)), is_shared_(is_shared) {}
  // With a key that nobody else has.
  static absl::StatusOr<TextSealer> OfNewKey();

  bool is_shared() const { return is_shared_; }

  // In the characters of base64url. Only the same `purpose` opens it, until `expires`.
  absl::StatusOr<std::string> Seal(absl::string_view text, absl::string_view purpose,
                                   absl::Time expires) const;
  // InvalidArgument: it did not come from here, was changed, or was made for something else.
  // DeadlineExceeded: it has expired.
  absl::StatusOr<std::string> Open(absl::string_view sealed, absl::string_view purpose,
                                   absl::Time now) const;

 private:
  KeyRing keys_;
  bool is_shared_;
};

}  // namespace contree::gateway

#endif  // GATEWAY_MCP_TEXT_SEALER_H_
