// The way out of sandboxes, through their real network stack. The tests' own "host" is a network
// namespace, so that there is a world to reach without any network.

#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iostream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "local-backend/sandbox/network_addresses.h"
#include "local-backend/sandbox/network_namespace.h"
#include "local-backend/sandbox/network_uplink.h"
#include "local-backend/sandbox/sandbox.h"
#include "local-backend/testing/namespace_test_main.h"

namespace contree {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr char kWorldAddress[] = "203.0.113.5";  // somebody else's
constexpr char kHostAddress[] = "198.51.100.7";  // the host's own

sockaddr_in Address(const char* text, uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  inet_pton(AF_INET, text, &address.sin_addr);
  return address;
}

// 203.0.113.0/24 is answered by this host, and yet no address of an interface.
void BeTheWorld() {
  struct {
    nlmsghdr header;
    rtmsg route;
    alignas(4) char attributes[64];
  } request = {};
  request.header.nlmsg_type = RTM_NEWROUTE;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_ACK;
  request.route.rtm_family = AF_INET;
  request.route.rtm_dst_len = 24;
  request.route.rtm_table = RT_TABLE_LOCAL;
  request.route.rtm_protocol = RTPROT_STATIC;
  request.route.rtm_scope = RT_SCOPE_HOST;
  request.route.rtm_type = RTN_LOCAL;
  char* next = request.attributes;
  const auto add = [&next](uint16_t type, const void* value) {
    const rtattr attribute = {.rta_len = RTA_LENGTH(4), .rta_type = type};
    memcpy(next, &attribute, sizeof attribute);
    memcpy(next + RTA_LENGTH(0), value, 4);
    next += RTA_SPACE(4);
  };
  const in_addr network = Address("203.0.113.0", 0).sin_addr;
  const unsigned loopback = if_nametoindex("lo");
  add(RTA_DST, &network);
  add(RTA_OIF, &loopback);
  request.header.nlmsg_len = static_cast<uint32_t>(next - reinterpret_cast<char*>(&request));
  const UniqueFd netlink(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  ASSERT_EQ(send(netlink.get(), &request, request.header.nlmsg_len, 0),
            static_cast<ssize_t>(request.header.nlmsg_len));
  struct {
    nlmsghdr header;
    nlmsgerr error;
    char more[256];
  } answer;
  ASSERT_GT(recv(netlink.get(), &answer, sizeof answer, 0), 0);
  ASSERT_EQ(answer.error.error, 0) << strerror(-answer.error.error);
}

void AddHostAddress() {
  const UniqueFd any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request = {};
  strncpy(request.ifr_name, "lo:1", sizeof request.ifr_name - 1);
  const sockaddr_in address = Address(kHostAddress, 0);
  memcpy(&request.ifr_addr, &address, sizeof address);
  ASSERT_EQ(ioctl(any.get(), SIOCSIFADDR, &request), 0) << strerror(errno);
}

// Listens on every address of its network namespace.
class TcpServer {
 public:
  explicit TcpServer(std::function<void(int)> serve)
      : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), serve_(std::move(serve)) {
    sockaddr_in address = Address("0.0.0.0", 0);
    socklen_t size = sizeof address;
    if (bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        listen(listener_.get(), 10) != 0 ||
        getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      std::abort();
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] {
      while (true) {
        const UniqueFd client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!client.is_open()) return;
        ++accepted_;
        serve_(client.get());
      }
    });
  }
  ~TcpServer() {
    shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  int port() const { return port_; }
  int accepted() const { return accepted_; }

 private:
  UniqueFd listener_;
  std::function<void(int)> serve_;
  int port_ = 0;
  std::atomic<int> accepted_ = 0;
  std::thread thread_;
};

class NetworkTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const auto host = MakeNetworkNamespace(/*with_tap=*/true);
    if (!host.ok()) {
      reason_ = new std::string(host.status().message());
      return;
    }
    // The main thread, and all that it starts, lives there from now on. Its tap stays open: it is
    // the cable.
    static UniqueFd cable(dup(host->tap.get()));
    if (setns(host->fd.get(), CLONE_NEWNET) != 0) std::abort();
    BeTheWorld();
    AddHostAddress();
  }

  void SetUp() override {
    if (reason_ != nullptr) GTEST_SKIP() << "no network namespaces with a tap here: " << *reason_;
    auto stack = NetworkStackProgram::Create();
    ASSERT_OK(stack);
    stack_ = *std::move(stack);
    auto launcher = SandboxLauncher::Create(
        {.mount_point = NewTestDirectory(), .limits = kTestLimits, .network_stack = stack_.get()});
    ASSERT_OK(launcher);
    launcher_ = *std::move(launcher);
  }

  std::string Run(const std::string& script, bool networking = true) {
    SandboxSpec spec = TestSpec({TestBusyboxLayer()}, {"/bin/sh", "-c", script});
    spec.networking = networking;
    std::string out;
    SandboxEvents events;
    events.on_output = [&out](OutputStream, absl::string_view bytes) {
      absl::StrAppend(&out, bytes);
    };
    const CancelEvent never;
    auto exit = launcher_->Run(spec, never, events);
    EXPECT_OK(exit);
    if (exit.ok()) exit_ = *std::move(exit);
    return out;
  }

  static std::string* reason_;
  std::unique_ptr<NetworkStackProgram> stack_;
  std::unique_ptr<SandboxLauncher> launcher_;
  SandboxExit exit_;
};

std::string* NetworkTest::reason_ = nullptr;

void SayHello(int client) {
  char request[64];
  const ssize_t got = recv(client, request, sizeof request, 0);
  const std::string answer = absl::StrCat(
      "hello ", absl::string_view(request, static_cast<size_t>(std::max<ssize_t>(0, got))));
  send(client, answer.data(), answer.size(), MSG_NOSIGNAL);
}

TEST_F(NetworkTest, ReachesTheWorld) {
  TcpServer server(SayHello);
  EXPECT_EQ(Run(absl::StrCat("echo me | nc ", kWorldAddress, " ", server.port())), "hello me\n");
  EXPECT_EQ(server.accepted(), 1);
  EXPECT_GT(exit_.traffic.sent_packets, 3);
  EXPECT_GT(exit_.traffic.received_bytes, 100);
  EXPECT_EQ(exit_.network_error, "");
}

TEST_F(NetworkTest, TheStackStartsWhereverItsProgramLies) {
  const pid_t child = fork();
  if (child == 0) {
    // What is opened next lies where the stack is to find its tap.
    for (int fd = 3; fd < 10; ++fd) close(fd);
    const auto stack = NetworkStackProgram::Create();
    if (!stack.ok()) std::cerr << stack.status() << std::endl;
    _exit(stack.ok() ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(NetworkTest, ServersAnswerFromAnyUserId) {
  TcpServer server(SayHello);
  SandboxSpec spec =
      TestSpec({TestBusyboxLayer()}, {"/bin/nc", kWorldAddress, absl::StrCat(server.port())});
  spec.networking = true;
  spec.uid = 1000;
  spec.gid = 1000;
  spec.stdin_bytes = "user";
  std::string out;
  SandboxEvents events;
  events.on_output = [&out](OutputStream, absl::string_view bytes) {
    absl::StrAppend(&out, bytes);
  };
  const CancelEvent never;
  ASSERT_OK(launcher_->Run(spec, never, events));
  EXPECT_EQ(out, "hello user");
}

TEST_F(NetworkTest, MuchPassesInBothDirections) {
  constexpr size_t kSize = 20'000'000;
  TcpServer server([](int client) {
    std::string buffer(1 << 16, '\0');
    size_t total = 0;
    while (total < kSize) {
      const ssize_t got = recv(client, buffer.data(), buffer.size(), 0);
      if (got <= 0) break;
      total += static_cast<size_t>(got);
    }
    if (total != kSize) return;
    for (size_t sent = 0; sent < kSize;) {
      const ssize_t part =
          send(client, buffer.data(), std::min(buffer.size(), kSize - sent), MSG_NOSIGNAL);
      if (part <= 0) return;
      sent += static_cast<size_t>(part);
    }
  });
  EXPECT_EQ(Run(absl::StrCat("head -c ", kSize, " /dev/zero | nc ", kWorldAddress, " ",
                             server.port(), " | wc -c")),
            absl::StrCat(kSize, "\n"));
}

TEST_F(NetworkTest, NamesAreAskedForAtTheHostsNameserverAndItsOtherPortsAreOutOfReach) {
  // On the host's loopback, where systemd-resolved and dnsmasq are.
  constexpr char kNameserver[] = "127.0.0.53";
  const std::string resolv_conf = absl::StrCat(NewTestDirectory(), "/resolv.conf");
  std::ofstream(resolv_conf) << "nameserver " << kNameserver << "\n";
  ASSERT_EQ(mount(resolv_conf.c_str(), "/etc/resolv.conf", nullptr, MS_BIND, nullptr), 0);
  const UniqueFd nameserver(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = Address(kNameserver, 53);
  ASSERT_EQ(bind(nameserver.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0)
      << strerror(errno);
  const UniqueFd stop(eventfd(0, EFD_CLOEXEC));
  std::thread answering([&nameserver, &stop] {
    while (true) {
      pollfd entries[] = {{.fd = nameserver.get(), .events = POLLIN, .revents = 0},
                          {.fd = stop.get(), .events = POLLIN, .revents = 0}};
      if (poll(entries, 2, -1) < 0 || entries[1].revents != 0) return;
      char message[512];
      sockaddr_in from;
      socklen_t size = sizeof from;
      const ssize_t got = recvfrom(nameserver.get(), message, sizeof message - 16, 0,
                                   reinterpret_cast<sockaddr*>(&from), &size);
      if (got < 12) return;
      message[2] = '\x84';  // an answer, authoritative
      message[3] = 0;
      message[7] = 1;  // with one record: the name of the question, A, IN, 1 second
      constexpr char kRecord[] = "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04\xcb\x00\x71\x05";
      memcpy(message + got, kRecord, 16);
      sendto(nameserver.get(), message, static_cast<size_t>(got) + 16, 0,
             reinterpret_cast<sockaddr*>(&from), size);
    }
  });
  TcpServer server(SayHello);
  const std::string out =
      Run(absl::StrCat("nslookup -type=a a.name.example ", kNameserverAddress,
                       "; echo me | timeout 2 nc ", kNameserverAddress, " ", server.port()));
  umount2("/etc/resolv.conf", MNT_DETACH);
  const uint64_t one = 1;
  ASSERT_EQ(write(stop.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
  answering.join();
  EXPECT_THAT(out, HasSubstr("203.0.113.5\n"));
  EXPECT_EQ(server.accepted(), 0);
}

TEST_F(NetworkTest, HostsLoopbackAndAddressesAreOutOfReach) {
  TcpServer server(SayHello);
  for (const char* address : {"127.0.0.1", "127.0.0.2", "0.0.0.0", kHostAddress, kGatewayAddress,
                              kGuestAddress, kNameserverAddress, "169.254.169.254"}) {
    EXPECT_THAT(Run(absl::StrCat("echo me | timeout 2 nc ", address, " ", server.port(), " 2>&1")),
                Not(HasSubstr("hello")))
        << address;
  }
  EXPECT_EQ(server.accepted(), 0);
  // That it is out of reach is said at once.
  EXPECT_THAT(Run(absl::StrCat("nc ", kHostAddress, " ", server.port(), " 2>&1")),
              HasSubstr("No route to host"));
  // The server is there.
  EXPECT_EQ(Run(absl::StrCat("echo me | nc ", kWorldAddress, " ", server.port())), "hello me\n");
}

TEST_F(NetworkTest, OtherRunsAreOutOfReach) {
  // One listens, on the address that all have; another one knocks.
  std::string first;
  std::thread listening([&] {
    SandboxSpec spec =
        TestSpec({TestBusyboxLayer()}, {"/bin/sh", "-c", "timeout 3 nc -l -p 7777; true"});
    spec.networking = true;
    SandboxEvents events;
    events.on_output = [&first](OutputStream, absl::string_view bytes) {
      absl::StrAppend(&first, bytes);
    };
    const CancelEvent never;
    EXPECT_OK(launcher_->Run(spec, never, events));
  });
  Run(absl::StrCat("for i in 1 2 3; do echo knock | timeout 1 nc ", kGuestAddress,
                   " 7777; echo knock | timeout 1 nc ", kGatewayAddress, " 7777; done"));
  listening.join();
  EXPECT_THAT(first, Not(HasSubstr("knock")));
}

TEST_F(NetworkTest, WhoDoesNotSpeakStartsNothing) {
  EXPECT_THAT(Run("cat /proc/net/dev; cat /proc/net/route"), HasSubstr("eth0"));
  EXPECT_EQ(exit_.traffic.sent_packets, 0);
}

TEST_F(NetworkTest, WithoutNetworkingThereIsLoopbackOnly) {
  TcpServer server(SayHello);
  const std::string out = Run(absl::StrCat("cat /proc/net/dev; echo me | timeout 2 nc ",
                                           kWorldAddress, " ", server.port(), " 2>&1"),
                              false);
  EXPECT_THAT(out, Not(HasSubstr("eth0")));
  EXPECT_THAT(out, HasSubstr("Network is unreachable"));
  EXPECT_EQ(server.accepted(), 0);
}

TEST_F(NetworkTest, EverybodyMayPingAndBindAnyPort) {
  // busybox's ping insists on a raw socket; that others ping is in debian_image_test.cc.
  EXPECT_EQ(Run("cat /proc/sys/net/ipv4/ping_group_range "
                "/proc/sys/net/ipv4/ip_unprivileged_port_start",
                false),
            "0\t65534\n0\n");
}

TEST_F(NetworkTest, NetworkCannotBeChanged) {
  const std::string out =
      Run("ip addr add 10.1.1.1/24 dev eth0; ip route del default; ip link set eth0 down; "
          "echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet; cat /proc/net/route 2>&1");
  EXPECT_THAT(out, HasSubstr("Operation not permitted"));
  EXPECT_THAT(out, HasSubstr("eth0\t00000000\t0202000A"));
  EXPECT_THAT(Run("cat /proc/sys/net/ipv4/conf/all/route_localnet"), "0\n");
}

TEST(NamesANameserverTest, TakesThoseOfIpv4) {
  EXPECT_TRUE(NamesANameserver("search x\nnameserver ::1\nnameserver\t10.1.2.3\n"));
  EXPECT_FALSE(NamesANameserver("# nameserver 9.9.9.9\nnameserver fe80::1%eth0\n"));
  EXPECT_FALSE(NamesANameserver(""));
}

}  // namespace
}  // namespace contree
