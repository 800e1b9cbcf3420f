#ifndef COMMON_REGISTRY_NETWORK_ADDRESS_H_
#define COMMON_REGISTRY_NETWORK_ADDRESS_H_

// Which addresses are of the internet and which are of this machine or its networks: a public name
// that leads to the latter is how a registry would make us talk to what only we can reach.
// Thread-safe.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace contree {

enum class AddressKind {
  kPublic,
  kLoopback,
  kPrivate,    // RFC 1918, shared (100.64/10), unique local, site local
  kLinkLocal,  // also where clouds keep their metadata services
  kReserved,   // unspecified, multicast, documentation and all else that is no host's
};

// `numeric` is an IPv4 or IPv6 address; IPv4 inside IPv6 (mapped, NAT64, 6to4) counts as the IPv4
// address. Anything that is no address is kReserved.
AddressKind KindOfAddress(absl::string_view numeric);
absl::string_view NameOf(AddressKind kind);

// Looks host names up. Thread-safe.
class HostResolver {
 public:
  virtual ~HostResolver() = default;
  // Numeric addresses, the preferred ones first. Unavailable: none, or no answer.
  virtual absl::StatusOr<std::vector<std::string>> Resolve(const std::string& host) = 0;
};

// The system's: hosts file, DNS. Ends by the system's own timeout.
class SystemHostResolver final : public HostResolver {
 public:
  absl::StatusOr<std::vector<std::string>> Resolve(const std::string& host) override;
};

}  // namespace contree

#endif  // COMMON_REGISTRY_NETWORK_ADDRESS_H_
