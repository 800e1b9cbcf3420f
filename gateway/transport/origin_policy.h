#ifndef GATEWAY_TRANSPORT_ORIGIN_POLICY_H_
#define GATEWAY_TRANSPORT_ORIGIN_POLICY_H_

// Which Host and Origin headers a request may have. A page in the user's browser can send requests
// to a server on loopback, and a name of its own that resolves to loopback can read the answers
// (DNS rebinding): both carry a foreign name in one of these headers.

#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace contree::gateway {

// Immutable, so thread-safe.
class OriginPolicy {
 public:
  // The names of loopback, and these (names or addresses, without a port, in any case).
  explicit OriginPolicy(const std::vector<std::string>& more_hosts);

  // Each of the two by itself. A missing Origin is fine: only browsers send one.
  // PermissionDenied: a header that is missing, malformed or foreign; the message names it.
  absl::Status Check(const std::optional<std::string>& host,
                     const std::optional<std::string>& origin) const;

 private:
  bool IsAllowed(absl::string_view host_and_port) const;

  absl::flat_hash_set<std::string> hosts_;
};

}  // namespace contree::gateway

#endif  // GATEWAY_TRANSPORT_ORIGIN_POLICY_H_
