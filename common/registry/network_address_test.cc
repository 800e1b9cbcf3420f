#include "common/registry/network_address.h"

#include <utility>

#include "common/testing/status_matchers.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

TEST(NetworkAddressTest, KnowsWhatIsOfTheInternet) {
  const std::vector<std::pair<std::string, AddressKind>> addresses = {
      {"8.8.8.8", AddressKind::kPublic},
      {"172.15.255.255", AddressKind::kPublic},
      {"172.32.0.0", AddressKind::kPublic},
      {"100.63.255.255", AddressKind::kPublic},
      {"2606:4700::6810:84e5", AddressKind::kPublic},
      {"127.0.0.1", AddressKind::kLoopback},
      {"127.255.255.254", AddressKind::kLoopback},
      {"::1", AddressKind::kLoopback},
      {"10.0.0.1", AddressKind::kPrivate},
      {"172.16.0.1", AddressKind::kPrivate},
      {"172.31.255.255", AddressKind::kPrivate},
      {"192.168.1.1", AddressKind::kPrivate},
      {"100.64.0.1", AddressKind::kPrivate},
      {"fd00::1", AddressKind::kPrivate},
      {"fec0::1", AddressKind::kPrivate},
      {"169.254.169.254", AddressKind::kLinkLocal},
      {"fe80::1", AddressKind::kLinkLocal},
      {"fe80::1%eth0", AddressKind::kLinkLocal},
      {"0.0.0.0", AddressKind::kReserved},
      {"::", AddressKind::kReserved},
      {"224.0.0.1", AddressKind::kReserved},
      {"255.255.255.255", AddressKind::kReserved},
      {"ff02::1", AddressKind::kReserved},
      {"2001:db8::1", AddressKind::kReserved},
      {"2001::1", AddressKind::kReserved},
      // The IPv4 address inside decides.
      {"::ffff:127.0.0.1", AddressKind::kLoopback},
      {"::ffff:8.8.8.8", AddressKind::kPublic},
      {"::127.0.0.1", AddressKind::kLoopback},
      {"64:ff9b::169.254.169.254", AddressKind::kLinkLocal},
      {"2002:7f00:1::", AddressKind::kLoopback},
      // No address is none to dial.
      {"127.1", AddressKind::kReserved},
      {"example.com", AddressKind::kReserved},
      {"", AddressKind::kReserved},
  };
  for (const auto& [address, kind] : addresses) {
    EXPECT_EQ(NameOf(KindOfAddress(address)), NameOf(kind)) << address;
  }
}

TEST(NetworkAddressTest, TheSystemResolvesItsOwnNameAndNumbers) {
  SystemHostResolver resolver;
  ASSERT_OK_AND_ASSIGN(const auto own, resolver.Resolve("localhost"));
  for (const std::string& address : own) EXPECT_EQ(KindOfAddress(address), AddressKind::kLoopback);
  ASSERT_OK_AND_ASSIGN(const auto number, resolver.Resolve("192.0.2.1"));
  EXPECT_EQ(number, std::vector<std::string>{"192.0.2.1"});
  // Old spellings of numbers become what they mean before anybody judges them.
  ASSERT_OK_AND_ASSIGN(const auto old, resolver.Resolve("127.1"));
  EXPECT_EQ(old, std::vector<std::string>{"127.0.0.1"});
}

}  // namespace
}  // namespace contree
