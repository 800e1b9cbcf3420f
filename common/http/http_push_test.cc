#include "common/http/http_push.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "common/http/http_push_loop.h"
#include "common/http/http_server.h"
#include "common/testing/raw_client.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

constexpr char kRequest[] = "GET /events HTTP/1.1\r\nHost: h\r\n\r\n";

// A server each of whose answers stays open.
class HttpPushTest : public testing::Test {
 protected:
  void Start(HttpPushOptions options = {}, int max_connections = 2) {
    options.closed = [this] {
      absl::MutexLock lock(&mutex_);
      ++closed_;
    };
    auto loop = HttpPushLoop::Start();
    ASSERT_OK(loop);
    loop_ = *std::move(loop);
    HttpServerOptions server_options;
    server_options.max_connections = max_connections;
    auto server = HttpServer::Start(server_options, [this, options](HttpExchange& exchange) {
      if (exchange.path() != "/events") return exchange.Respond(200, "text/plain", "plain");
      exchange.RespondDetached(
          200, "text/event-stream", [this, options](std::unique_ptr<HttpDetachedStream> stream) {
            const std::shared_ptr<HttpPush> push = loop_->Add(std::move(stream), options);
            if (push == nullptr) return;
            absl::MutexLock lock(&mutex_);
            pushes_.push_back(push);
          });
    });
    ASSERT_OK(server);
    server_ = *std::move(server);
  }
  std::shared_ptr<HttpPush> WaitForPush(size_t number) {
    absl::MutexLock lock(&mutex_);
    const auto is_there = [&] {
      mutex_.AssertHeld();
      return pushes_.size() >= number;
    };
    mutex_.Await(absl::Condition(&is_there));
    return pushes_[number - 1];
  }
  void WaitForClosed(int count) {
    absl::MutexLock lock(&mutex_);
    const auto are_closed = [&] {
      mutex_.AssertHeld();
      return closed_ >= count;
    };
    mutex_.Await(absl::Condition(&are_closed));
    EXPECT_EQ(closed_, count);
  }

  absl::Mutex mutex_;
  std::vector<std::shared_ptr<HttpPush>> pushes_ ABSL_GUARDED_BY(mutex_);
  int closed_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unique_ptr<HttpPushLoop> loop_;
  std::unique_ptr<HttpServer> server_;  // last: its threads use the others
};

TEST_F(HttpPushTest, WhatIsWrittenArrivesAtOnceAndTheAnswerEndsWhole) {
  Start();
  RawClient client(server_->port());
  client.Send(kRequest);
  const auto push = WaitForPush(1);
  push->Write("one");
  EXPECT_THAT(client.ReadUntil("3\r\none\r\n"),
              testing::AllOf(HasSubstr("HTTP/1.1 200"), HasSubstr("Connection: close"),
                             HasSubstr("Transfer-Encoding: chunked"), EndsWith("3\r\none\r\n")));
  push->Write("");
  push->Write("two");
  push->End();
  push->Write("too late");
  EXPECT_EQ(client.ReadAll(), "3\r\ntwo\r\n0\r\n\r\n");
  WaitForClosed(1);
}

TEST_F(HttpPushTest, OpenAnswersTakeNoConnectionFromOthers) {
  // A few: the thread of an answer that was just handed over may still be on its way back.
  Start({}, /*max_connections=*/8);
  std::vector<std::unique_ptr<RawClient>> clients;
  for (size_t i = 1; i <= 20; ++i) {
    clients.push_back(std::make_unique<RawClient>(server_->port()));
    clients.back()->Send(kRequest);
    WaitForPush(i)->Write("x");
    clients.back()->ReadUntil("1\r\nx\r\n");
  }
  for (size_t i = 1; i <= 20; ++i) WaitForPush(i)->Write(std::to_string(100 + i));
  EXPECT_EQ(clients[6]->ReadUntil("7\r\n"), "3\r\n107\r\n");
}

TEST_F(HttpPushTest, AClientThatLeavesIsNoticedWhileNothingIsWritten) {
  Start();
  RawClient client(server_->port());
  client.Send(kRequest);
  const auto push = WaitForPush(1);
  client.Close();
  WaitForClosed(1);
  push->Write("nobody reads this");
  push->End();
}

TEST_F(HttpPushTest, ASilentAnswerIsKeptAlive) {
  Start({.keep_alive = ": hi\n\n", .keep_alive_after = absl::Milliseconds(1)});
  RawClient client(server_->port());
  client.Send(kRequest);
  EXPECT_THAT(client.ReadUntil(": hi\n\n\r\n6\r\n: hi\n\n\r\n"), EndsWith("6\r\n: hi\n\n\r\n"));
}

TEST_F(HttpPushTest, AClientThatDoesNotReadIsLeft) {
  Start();
  RawClient client(server_->port());
  client.Send(kRequest);
  const auto push = WaitForPush(1);
  // More than the sockets' buffers and the bound together.
  const std::string piece(256 * 1024, 'x');
  for (int i = 0; i < 400; ++i) push->Write(piece);
  WaitForClosed(1);
}

TEST_F(HttpPushTest, ALargePieceArrivesWholeOnceTheClientReads) {
  Start();
  RawClient client(server_->port());
  client.Send(kRequest);
  const auto push = WaitForPush(1);
  push->Write(std::string(900 * 1024, 'x'));
  push->End();
  const std::string text = client.ReadAll();
  EXPECT_THAT(text.substr(text.size() - 8), EndsWith("x\r\n0\r\n\r\n"));
  EXPECT_GT(text.size(), 900U * 1024);
}

TEST_F(HttpPushTest, AStopClosesAll) {
  Start();
  RawClient client(server_->port());
  client.Send(kRequest);
  WaitForPush(1)->Write("x");
  client.ReadUntil("1\r\nx\r\n");
  loop_->Stop();
  EXPECT_EQ(client.ReadAll(), "");
  WaitForClosed(1);
}

}  // namespace
}  // namespace contree
