#include "local-backend/api/event_streamer.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/files/unique_fd.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

// A connection without HTTP around it.
class SocketStream final : public HttpDetachedStream {
 public:
  explicit SocketStream(UniqueFd fd) : fd_(std::move(fd)) { fcntl(fd_.get(), F_SETFL, O_NONBLOCK); }
  int socket() const override { return fd_.get(); }
  void Write(absl::string_view bytes) override {
    unsent_.append(bytes.data(), bytes.size());
    Flush();
  }
  void Finish() override { Write("END"); }
  void Flush() override {
    const ssize_t sent = send(fd_.get(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
    if (sent > 0) unsent_.erase(0, static_cast<size_t>(sent));
    broken_ |= sent < 0 && errno != EAGAIN;
  }
  size_t unsent() const override { return broken_ ? 0 : unsent_.size(); }
  bool IsBroken() override {
    char c;
    return broken_ || recv(fd_.get(), &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
  }

 private:
  UniqueFd fd_;
  std::string unsent_;
  bool broken_ = false;
};

// The client's end.
class Client {
 public:
  explicit Client(UniqueFd fd) : fd_(std::move(fd)) {}
  std::string ReadUntil(const std::string& end) {
    std::string text;
    char buffer[16 * 1024];
    while (text.size() < end.size() || text.substr(text.size() - end.size()) != end) {
      const ssize_t got = recv(fd_.get(), buffer, sizeof buffer, 0);
      if (got <= 0) break;
      text.append(buffer, static_cast<size_t>(got));
    }
    return text;
  }
  void Close() { fd_.Reset(); }

 private:
  UniqueFd fd_;
};

class EventStreamerTest : public testing::Test {
 protected:
  explicit EventStreamerTest(absl::Duration keepalive = absl::Seconds(15)) {
    auto streamer = EventStreamer::Create({.keepalive = keepalive});
    EXPECT_OK(streamer);
    streamer_ = *std::move(streamer);
  }
  Client Follow(EventSubscription subscription) {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    streamer_->Add(std::move(subscription), std::make_unique<SocketStream>(UniqueFd(ends[0])));
    return Client(UniqueFd(ends[1]));
  }
  void AwaitNobody() {
    while (streamer_->open() > 0) {
    }
  }

  std::shared_ptr<EventLog> log_ = std::make_shared<EventLog>();
  std::unique_ptr<EventStreamer> streamer_;
};

TEST_F(EventStreamerTest, FollowerGetsWhatIsThereAndWhatComes) {
  log_->Append(0, "init", {{"a", 1}});
  Client client = Follow({.log = log_, .follow = true});
  EXPECT_THAT(client.ReadUntil("\n\n"), StartsWith("id: 0\nevent: init\ndata: {\"id\":0,"));
  log_->Append(1, "stdout", {{"b", 2}});
  EXPECT_THAT(client.ReadUntil("\n\n"), StartsWith("id: 1\nevent: stdout\n"));
  log_->Close(log_->Prepare(0, "completion", {}));
  EXPECT_THAT(client.ReadUntil("END"), StartsWith("id: 2\nevent: completion\n"));
  AwaitNobody();
}

TEST_F(EventStreamerTest, OthersGetWhatIsThere) {
  log_->Append(0, "init", {});
  log_->Append(1, "stdout", {});
  log_->Append(2, "stdout", {});
  EXPECT_THAT(Follow({.log = log_, .next = 2}).ReadUntil("END"), StartsWith("id: 2\n"));
  EXPECT_THAT(Follow({.log = log_, .spid = 1}).ReadUntil("END"),
              testing::AllOf(StartsWith("id: 1\n"), testing::Not(HasSubstr("id: 2"))));
  EXPECT_EQ(Follow({.log = log_, .next = 7}).ReadUntil("END"), "END");
  AwaitNobody();
}

TEST_F(EventStreamerTest, ManyFollowersOfManyLogs) {
  std::vector<std::shared_ptr<EventLog>> logs;
  std::vector<Client> clients;
  for (int i = 0; i < 200; ++i) {
    logs.push_back(std::make_shared<EventLog>());
    clients.push_back(Follow({.log = logs.back(), .follow = true}));
  }
  for (int i = 0; i < 200; ++i) logs[i]->Append(1, "stdout", {{"n", i}});
  for (auto& log : logs) log->Close(log->Prepare(0, "completion", {}));
  for (int i = 0; i < 200; ++i) {
    EXPECT_THAT(clients[i].ReadUntil("END"), HasSubstr(absl::StrCat("{\"n\":", i, "}")));
  }
  AwaitNobody();
}

TEST_F(EventStreamerTest, SlowClientGetsAllAndDelaysNobody) {
  Client slow = Follow({.log = log_, .follow = true});
  const std::string piece(10'000, 'x');
  for (int i = 0; i < 500; ++i) log_->Append(1, "stdout", {{"value", piece}});
  auto other_log = std::make_shared<EventLog>();
  Client other = Follow({.log = other_log, .follow = true});
  other_log->Append(0, "init", {});
  EXPECT_THAT(other.ReadUntil("\n\n"), StartsWith("id: 0\n"));
  log_->Close(log_->Prepare(0, "completion", {}));
  const std::string all = slow.ReadUntil("END");
  EXPECT_GT(all.size(), 5'000'000);
  EXPECT_THAT(all.substr(all.size() - 300), HasSubstr("id: 500\nevent: completion"));
}

TEST_F(EventStreamerTest, ClientThatGoesIsForgotten) {
  Client client = Follow({.log = log_, .follow = true});
  log_->Append(0, "init", {});
  client.ReadUntil("\n\n");
  client.Close();
  AwaitNobody();
  log_->Append(0, "later", {});  // nobody is told
}

TEST_F(EventStreamerTest, StopEndsWhatIsOpen) {
  Client client = Follow({.log = log_, .follow = true});
  log_->Append(0, "init", {});
  client.ReadUntil("\n\n");
  streamer_->Stop();
  EXPECT_EQ(streamer_->open(), 0);
  EXPECT_EQ(client.ReadUntil("END"), "");
}

class ImpatientEventStreamerTest : public EventStreamerTest {
 protected:
  ImpatientEventStreamerTest() : EventStreamerTest(absl::Milliseconds(20)) {}
};

TEST_F(ImpatientEventStreamerTest, SilenceIsFilledWithComments) {
  Client client = Follow({.log = log_, .follow = true});
  EXPECT_THAT(client.ReadUntil("keepalive\n\n"), EndsWith(": keepalive\n\n"));
  EXPECT_THAT(client.ReadUntil("keepalive\n\n"), EndsWith(": keepalive\n\n"));
  log_->Append(0, "init", {});
  EXPECT_THAT(client.ReadUntil("}\n\n"), HasSubstr("event: init"));
}

}  // namespace
}  // namespace contree
