#include "common/registry/network_address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"

namespace contree {
namespace {

struct Ipv4Range {
  uint32_t network;
  int bits;
  AddressKind kind;
};

constexpr uint32_t Ipv4(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  return a << 24 | b << 16 | c << 8 | d;
}

// IANA's special-purpose registry.
constexpr std::array kIpv4Ranges = {
    Ipv4Range{Ipv4(0, 0, 0, 0), 8, AddressKind::kReserved},
    Ipv4Range{Ipv4(10, 0, 0, 0), 8, AddressKind::kPrivate},
    Ipv4Range{Ipv4(100, 64, 0, 0), 10, AddressKind::kPrivate},
    Ipv4Range{Ipv4(127, 0, 0, 0), 8, AddressKind::kLoopback},
    Ipv4Range{Ipv4(169, 254, 0, 0), 16, AddressKind::kLinkLocal},
    Ipv4Range{Ipv4(172, 16, 0, 0), 12, AddressKind::kPrivate},
    Ipv4Range{Ipv4(192, 0, 0, 0), 24, AddressKind::kReserved},
    Ipv4Range{Ipv4(192, 0, 2, 0), 24, AddressKind::kReserved},
    Ipv4Range{Ipv4(192, 168, 0, 0), 16, AddressKind::kPrivate},
    Ipv4Range{Ipv4(198, 18, 0, 0), 15, AddressKind::kPrivate},
    Ipv4Range{Ipv4(198, 51, 100, 0), 24, AddressKind::kReserved},
    Ipv4Range{Ipv4(203, 0, 113, 0), 24, AddressKind::kReserved},
    Ipv4Range{Ipv4(224, 0, 0, 0), 3, AddressKind::kReserved},
};

AddressKind KindOfIpv4(uint32_t address) {
  for (const Ipv4Range& range : kIpv4Ranges) {
    if ((address ^ range.network) >> (32 - range.bits) == 0) return range.kind;
  }
  return AddressKind::kPublic;
}

uint32_t Ipv4At(const uint8_t* bytes) { return Ipv4(bytes[0], bytes[1], bytes[2], bytes[3]); }

AddressKind KindOfIpv6(const std::array<uint8_t, 16>& a) {
  static constexpr std::array<uint8_t, 15> kZeros = {};
  if (std::memcmp(a.data(), kZeros.data(), 15) == 0) {
    return a[15] == 1 ? AddressKind::kLoopback : AddressKind::kReserved;
  }
  const bool zeros_to_80 = std::memcmp(a.data(), kZeros.data(), 10) == 0;
  if (zeros_to_80 && a[10] == 0xff && a[11] == 0xff) return KindOfIpv4(Ipv4At(&a[12]));  // mapped
  if (zeros_to_80 && a[10] == 0 && a[11] == 0) return KindOfIpv4(Ipv4At(&a[12]));  // compatible
  static constexpr std::array<uint8_t, 12> kNat64 = {0, 0x64, 0xff, 0x9b};
  if (std::memcmp(a.data(), kNat64.data(), 12) == 0) return KindOfIpv4(Ipv4At(&a[12]));
  if (a[0] == 0 && a[1] == 0x64) return AddressKind::kPrivate;  // 64:ff9b:1::/48, local NAT64
  if (a[0] == 0x20 && a[1] == 0x02) return KindOfIpv4(Ipv4At(&a[2]));  // 6to4
  if (a[0] == 0xfe && (a[1] & 0xc0) == 0x80) return AddressKind::kLinkLocal;
  if (a[0] == 0xfe && (a[1] & 0xc0) == 0xc0) return AddressKind::kPrivate;  // site local
  if ((a[0] & 0xfe) == 0xfc) return AddressKind::kPrivate;
  // All that is given out is in 2000::/3; documentation and Teredo are not hosts.
  if ((a[0] & 0xe0) != 0x20) return AddressKind::kReserved;
  if (a[0] == 0x20 && a[1] == 0x01 && (a[2] == 0x0d ? a[3] == 0xb8 : (a[2] | a[3]) == 0)) {
    return AddressKind::kReserved;
  }
  return AddressKind::kPublic;
}

}  // namespace

AddressKind KindOfAddress(absl::string_view numeric) {
  // A zone ("fe80::1%eth0") belongs to a link.
  const size_t percent = numeric.find('%');
  const std::string text(numeric.substr(0, percent));
  in_addr v4;
  if (inet_pton(AF_INET, text.c_str(), &v4) == 1) return KindOfIpv4(ntohl(v4.s_addr));
  std::array<uint8_t, 16> v6 = {};
  if (inet_pton(AF_INET6, text.c_str(), v6.data()) == 1) return KindOfIpv6(v6);
  return AddressKind::kReserved;
}

absl::string_view NameOf(AddressKind kind) {
  switch (kind) {
    case AddressKind::kPublic:
      return "public";
    case AddressKind::kLoopback:
      return "loopback";
    case AddressKind::kPrivate:
      return "private";
    case AddressKind::kLinkLocal:
      return "link-local";
    case AddressKind::kReserved:
      return "reserved";
  }
  return "unknown";
}

absl::StatusOr<std::vector<std::string>> SystemHostResolver::Resolve(const std::string& host) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  int error = getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (error == EAI_ADDRFAMILY || error == EAI_NONAME) {
    hints.ai_flags = 0;  // a machine with loopback only has no "configured" address
    error = getaddrinfo(host.c_str(), nullptr, &hints, &found);
  }
  if (error != 0) {
    return absl::UnavailableError(absl::StrCat("cannot resolve ", host, ": ", gai_strerror(error),
                                               "; check the name and this machine's network"));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, freeaddrinfo);
  std::vector<std::string> addresses;
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    char text[NI_MAXHOST];
    if (getnameinfo(entry->ai_addr, entry->ai_addrlen, text, sizeof text, nullptr, 0,
                    NI_NUMERICHOST) == 0) {
      addresses.emplace_back(text);
    }
  }
  if (addresses.empty()) {
    return absl::UnavailableError(absl::StrCat(host, " has no address"));
  }
  return addresses;
}

}  // namespace contree
