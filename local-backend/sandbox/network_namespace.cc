#include "local-backend/sandbox/network_namespace.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/route.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "local-backend/sandbox/network_addresses.h"

namespace contree {
namespace {

// They belong to the network namespace of the thread that opens them.
constexpr const char* kRecordsOfIpv6 = "snmp6";
constexpr const char* kRecords[] = {"dev", "snmp", "netstat", kRecordsOfIpv6};
constexpr size_t kMaxRecord = 16 * 1024;
// So many are kept of each kind.
constexpr size_t kMaxUnused = 8;

absl::Status Failed(absl::string_view what) {
  const int error = errno;
  return absl::FailedPreconditionError(
      absl::StrCat(what, ": ", absl::ErrnoToStatus(error, "").message()));
}

ifreq Named(const char* name) {
  ifreq request = {};
  strncpy(request.ifr_name, name, sizeof request.ifr_name - 1);
  return request;
}

sockaddr_in Address(const char* text) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  inet_pton(AF_INET, text, &address.sin_addr);
  return address;
}

// Conveniences: where /proc/sys cannot be written, sandboxes do without.
void SetParameter(const char* path, const char* value) {
  const UniqueFd fd(open(path, O_WRONLY | O_CLOEXEC));
  if (fd.is_open() && write(fd.get(), value, strlen(value)) < 0) return;
}

absl::Status BringUp(int socket, const char* name) {
  ifreq request = Named(name);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (ioctl(socket, SIOCSIFFLAGS, &request) == 0) return absl::OkStatus();
  return Failed(absl::StrCat("cannot bring ", name, " up"));
}

absl::StatusOr<UniqueFd> MakeTap(int socket) {
  UniqueFd tap(open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (!tap.is_open()) return Failed("/dev/net/tun cannot be opened");
  ifreq request = Named(kTapName);
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  if (ioctl(tap.get(), TUNSETIFF, &request) != 0) return Failed("cannot make a tap device");
  // Closing the descriptor would take the device away, and wait some 20 ms for that; it goes with
  // its namespace, in the background and many at a time.
  if (ioctl(tap.get(), TUNSETPERSIST, 1) != 0) return Failed("cannot keep the tap device");
  request = Named(kTapName);
  request.ifr_mtu = kTapMtu;
  if (ioctl(socket, SIOCSIFMTU, &request) != 0) return Failed("cannot set the MTU");
  request = Named(kTapName);
  sockaddr_in address = Address(kGuestAddress);
  memcpy(&request.ifr_addr, &address, sizeof address);
  if (ioctl(socket, SIOCSIFADDR, &request) != 0) return Failed("cannot set the address");
  address.sin_addr.s_addr = htonl(~0U << (32 - kGuestPrefixLength));
  memcpy(&request.ifr_netmask, &address, sizeof address);
  if (ioctl(socket, SIOCSIFNETMASK, &request) != 0) return Failed("cannot set the netmask");
  RETURN_IF_ERROR(BringUp(socket, kTapName));
  rtentry route = {};
  const sockaddr_in everywhere = Address("0.0.0.0");
  const sockaddr_in gateway = Address(kGatewayAddress);
  memcpy(&route.rt_dst, &everywhere, sizeof everywhere);
  memcpy(&route.rt_genmask, &everywhere, sizeof everywhere);
  memcpy(&route.rt_gateway, &gateway, sizeof gateway);
  route.rt_flags = RTF_UP | RTF_GATEWAY;
  if (ioctl(socket, SIOCADDRT, &route) != 0) return Failed("cannot set the default route");
  return tap;
}

absl::StatusOr<NetworkNamespace> MakeInThisThread(bool with_tap) {
  if (unshare(CLONE_NEWNET) != 0) return Failed("cannot make a network namespace");
  const UniqueFd socket_fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket_fd.is_open()) return Failed("socket");
  SetParameter("/proc/sys/net/ipv4/ping_group_range", "0 65534");
  SetParameter("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
  // Of devices to come: the way out speaks IPv4, and must not be woken by router solicitations.
  SetParameter("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
  NetworkNamespace made;
  RETURN_IF_ERROR(BringUp(socket_fd.get(), "lo"));
  if (with_tap) {
    ASSIGN_OR_RETURN(made.tap, MakeTap(socket_fd.get()));
  }
  made.fd.Reset(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!made.fd.is_open()) return Failed("cannot open the network namespace");
  for (const char* file : kRecords) {
    const std::string path = absl::StrCat("/proc/thread-self/net/", file);
    made.records.emplace_back(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    // There are machines without IPv6.
    if (!made.records.back().is_open() && file == kRecordsOfIpv6) made.records.pop_back();
  }
  return made;
}

}  // namespace

absl::StatusOr<NetworkNamespace> MakeNetworkNamespace(bool with_tap) {
  // In a thread that ends with it: from the user namespace of sandboxes there is no way back into
  // the network namespace of the host.
  absl::StatusOr<NetworkNamespace> made = absl::UnknownError("");
  std::thread([&made, with_tap] { made = MakeInThisThread(with_tap); }).join();
  return made;
}

std::string ReadRecords(const NetworkNamespace& network) {
  std::string all;
  for (const UniqueFd& file : network.records) {
    char text[kMaxRecord];
    const ssize_t size = pread(file.get(), text, sizeof text, 0);
    if (size <= 0 || size == sizeof text) return "";
    all.append(text, static_cast<size_t>(size));
  }
  return all;
}

namespace {

// Some are counted only once they are read.
bool HasPackets(const UniqueFd& tap) {
  pollfd entry = {.fd = tap.get(), .events = POLLIN, .revents = 0};
  return tap.is_open() && poll(&entry, 1, 0) != 0;
}

}  // namespace

absl::StatusOr<NetworkNamespace> NetworkNamespaces::Take(bool with_tap) {
  while (true) {
    NetworkNamespace network;
    std::string as_new;
    {
      const absl::MutexLock lock(&mutex_);
      std::deque<NetworkNamespace>& unused = unused_[with_tap ? 1 : 0];
      if (unused.empty()) break;
      network = std::move(unused.front());
      unused.pop_front();
      as_new = as_new_[with_tap ? 1 : 0];
    }
    if (ReadRecords(network) == as_new && !HasPackets(network.tap)) return network;
    disposal_.Post([gone = std::make_shared<NetworkNamespace>(std::move(network))] {});
  }
  ASSIGN_OR_RETURN(NetworkNamespace network, MakeNetworkNamespace(with_tap));
  std::string records = ReadRecords(network);
  const absl::MutexLock lock(&mutex_);
  as_new_[with_tap ? 1 : 0] = std::move(records);
  return network;
}

void NetworkNamespaces::GiveBack(NetworkNamespace network) {
  {
    const absl::MutexLock lock(&mutex_);
    const size_t kind = network.tap.is_open() ? 1 : 0;
    // Of what cannot be read nobody knows what has happened in it.
    if (!as_new_[kind].empty() && unused_[kind].size() < kMaxUnused) {
      unused_[kind].push_back(std::move(network));
      return;
    }
  }
  disposal_.Post([gone = std::make_shared<NetworkNamespace>(std::move(network))] {});
}

}  // namespace contree
