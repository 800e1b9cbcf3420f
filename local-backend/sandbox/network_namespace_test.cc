#include "local-backend/sandbox/network_namespace.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <thread>

#include "common/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "local-backend/sandbox/network_addresses.h"
#include "local-backend/testing/namespace_test_main.h"

namespace contree {
namespace {

// What namespaces are known by.
ino_t IdOf(const NetworkNamespace& network) {
  struct stat info = {};
  EXPECT_EQ(fstat(network.fd.get(), &info), 0);
  return info.st_ino;
}

void Inside(const NetworkNamespace& network, const std::function<void()>& work) {
  std::thread([&] {
    ASSERT_EQ(setns(network.fd.get(), CLONE_NEWNET), 0);
    work();
  }).join();
}

void SendDatagram(const char* host) {
  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(9);
  inet_pton(AF_INET, host, &address.sin_addr);
  ASSERT_EQ(sendto(fd.get(), "x", 1, 0, reinterpret_cast<sockaddr*>(&address), sizeof address), 1);
}

class NetworkNamespacesTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(disposal_, EventLoop::Start());
    networks_ = std::make_unique<NetworkNamespaces>(*disposal_);
  }

  std::unique_ptr<EventLoop> disposal_;
  std::unique_ptr<NetworkNamespaces> networks_;
};

TEST_F(NetworkNamespacesTest, OneThatNobodyUsedIsHandedOutAgain) {
  ASSERT_OK_AND_ASSIGN(NetworkNamespace first, networks_->Take(false));
  const ino_t id = IdOf(first);
  // Sockets that send nothing leave no trace.
  Inside(first, [] {
    const UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(listen(fd.get(), 1), 0);
  });
  networks_->GiveBack(std::move(first));
  ASSERT_OK_AND_ASSIGN(const NetworkNamespace second, networks_->Take(false));
  EXPECT_EQ(IdOf(second), id);
  ASSERT_OK_AND_ASSIGN(const NetworkNamespace third, networks_->Take(false));
  EXPECT_NE(IdOf(third), id);
}

TEST_F(NetworkNamespacesTest, OneThatSomethingWasSentInIsNot) {
  ASSERT_OK_AND_ASSIGN(NetworkNamespace used, networks_->Take(false));
  const ino_t id = IdOf(used);
  Inside(used, [] { SendDatagram("127.0.0.1"); });
  // So that no new one takes its number.
  const UniqueFd keep(fcntl(used.fd.get(), F_DUPFD_CLOEXEC, 0));
  networks_->GiveBack(std::move(used));
  ASSERT_OK_AND_ASSIGN(const NetworkNamespace next, networks_->Take(false));
  EXPECT_NE(IdOf(next), id);
}

TEST_F(NetworkNamespacesTest, NorOneWithAPacketOnItsWayOut) {
  absl::StatusOr<NetworkNamespace> used = networks_->Take(true);
  if (!used.ok()) GTEST_SKIP() << "no tap devices here: " << used.status();
  const ino_t id = IdOf(*used);
  networks_->GiveBack(*std::move(used));
  ASSERT_OK_AND_ASSIGN(NetworkNamespace again, networks_->Take(true));
  EXPECT_EQ(IdOf(again), id);
  // It waits in the tap for somebody to read it.
  Inside(again, [] { SendDatagram("192.0.2.1"); });
  const UniqueFd keep(fcntl(again.fd.get(), F_DUPFD_CLOEXEC, 0));
  networks_->GiveBack(std::move(again));
  ASSERT_OK_AND_ASSIGN(const NetworkNamespace next, networks_->Take(true));
  EXPECT_NE(IdOf(next), id);
}

TEST_F(NetworkNamespacesTest, ThoseWithAWayOutStayApart) {
  ASSERT_OK_AND_ASSIGN(NetworkNamespace loopback, networks_->Take(false));
  networks_->GiveBack(std::move(loopback));
  const absl::StatusOr<NetworkNamespace> tap = networks_->Take(true);
  if (!tap.ok()) GTEST_SKIP() << "no tap devices here: " << tap.status();
  EXPECT_TRUE(tap->tap.is_open());
}

}  // namespace
}  // namespace contree
