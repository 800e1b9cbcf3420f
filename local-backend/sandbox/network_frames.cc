#include "local-backend/sandbox/network_frames.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "local-backend/sandbox/network_addresses.h"

namespace contree {
namespace {

constexpr size_t kEthernetHeader = 14;
constexpr size_t kMinIpHeader = 20;
constexpr size_t kIcmpHeader = 8;
constexpr uint16_t kTypeIpv4 = 0x0800;
constexpr uint16_t kTypeArp = 0x0806;
constexpr uint8_t kProtocolIcmp = 1;
constexpr uint16_t kDnsPort = 53;

uint8_t Byte(std::string_view bytes, size_t at) { return static_cast<uint8_t>(bytes[at]); }

uint16_t Number16(std::string_view bytes, size_t at) {
  return static_cast<uint16_t>(Byte(bytes, at) << 8 | Byte(bytes, at + 1));
}

uint32_t Number32(std::string_view bytes, size_t at) {
  return static_cast<uint32_t>(Number16(bytes, at)) << 16 | Number16(bytes, at + 2);
}

void SetNumber16(std::string& bytes, size_t at, uint16_t value) {
  bytes[at] = static_cast<char>(value >> 8);
  bytes[at + 1] = static_cast<char>(value & 0xff);
}

// As IP headers and ICMP messages have it.
uint16_t Checksum(std::string_view bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) sum += Number16(bytes, i);
  if (bytes.size() % 2 != 0) sum += static_cast<uint32_t>(Byte(bytes, bytes.size() - 1)) << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

uint32_t Nameserver() {
  in_addr address;
  inet_pton(AF_INET, kNameserverAddress, &address);
  return ntohl(address.s_addr);
}

// Whether the whole packet is of UDP or TCP and goes there. A part of one does not say.
bool IsForPort(std::string_view packet, uint16_t port) {
  const size_t header = static_cast<size_t>(Byte(packet, 0) & 0x0f) * 4;
  const uint8_t protocol = Byte(packet, 9);
  return (Number16(packet, 6) & 0x3fff) == 0 && header >= kMinIpHeader &&
         packet.size() >= header + 4 && (protocol == IPPROTO_UDP || protocol == IPPROTO_TCP) &&
         Number16(packet, header + 2) == port;
}

}  // namespace

ForbiddenAddresses ForbiddenAddresses::OfThisMachine() {
  std::vector<uint32_t> own;
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) == 0) {
    for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
      if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET) continue;
      sockaddr_in address;
      memcpy(&address, one->ifa_addr, sizeof address);
      own.push_back(ntohl(address.sin_addr.s_addr));
    }
    freeifaddrs(all);
  }
  return ForbiddenAddresses(std::move(own));
}

bool ForbiddenAddresses::Contains(uint32_t address) const {
  return address >> 24 == 127 || address >> 24 == 0 || address >> 16 == 0xa9fe ||
         std::find(own_.begin(), own_.end(), address) != own_.end();
}

FrameVerdict JudgeFrame(std::string_view frame, const ForbiddenAddresses& forbidden) {
  if (frame.size() < kEthernetHeader) return FrameVerdict::kIgnore;
  const uint16_t type = Number16(frame, 12);
  if (type == kTypeArp) return FrameVerdict::kPass;
  if (type != kTypeIpv4 || frame.size() < kEthernetHeader + kMinIpHeader) {
    return FrameVerdict::kIgnore;
  }
  const std::string_view packet = frame.substr(kEthernetHeader);
  const uint32_t to = Number32(packet, 16);
  if (to >> 28 == 0xe || to == 0xffffffff) return FrameVerdict::kIgnore;
  if (forbidden.Contains(to)) return FrameVerdict::kRefuse;
  if (to == Nameserver() && !IsForPort(packet, kDnsPort)) return FrameVerdict::kRefuse;
  return FrameVerdict::kPass;
}

std::string RefusalOf(std::string_view frame) {
  if (frame.size() < kEthernetHeader + kMinIpHeader) return "";
  const std::string_view packet = frame.substr(kEthernetHeader);
  const size_t header = static_cast<size_t>(Byte(packet, 0) & 0x0f) * 4;
  if (Byte(packet, 0) >> 4 != 4 || header < kMinIpHeader || packet.size() < header) return "";
  // About ICMP errors, later fragments and broadcasts nobody is told.
  const bool is_error =
      Byte(packet, 9) == kProtocolIcmp && packet.size() > header && Byte(packet, header) != 8;
  if (is_error || (Number16(packet, 6) & 0x1fff) != 0 || (Byte(frame, 0) & 1) != 0) return "";
  const std::string_view quoted = packet.substr(0, header + 8);

  std::string icmp(kIcmpHeader, '\0');
  icmp[0] = 3;   // destination unreachable
  icmp[1] = 10;  // host administratively prohibited
  icmp.append(quoted.data(), quoted.size());
  SetNumber16(icmp, 2, Checksum(icmp));

  std::string ip(kMinIpHeader, '\0');
  ip[0] = 0x45;
  SetNumber16(ip, 2, static_cast<uint16_t>(kMinIpHeader + icmp.size()));
  ip[8] = 64;
  ip[9] = static_cast<char>(kProtocolIcmp);
  // From where the packet was to go: no other address is sure to be believed.
  ip.replace(12, 4, std::string(packet.substr(16, 4)));
  ip.replace(16, 4, std::string(packet.substr(12, 4)));
  SetNumber16(ip, 10, Checksum(ip));

  std::string answer(frame.substr(6, 6));
  answer.append(frame.data(), 6);
  answer.append(frame.data() + 12, 2);
  return answer + ip + icmp;
}

}  // namespace contree
