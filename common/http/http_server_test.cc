#include "common/http/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/files/unique_fd.h"
#include "common/testing/raw_client.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::unique_ptr<HttpServer> StartServer(HttpHandler handler,
                                        const HttpServerOptions& options = {}) {
  auto server = HttpServer::Start(options, std::move(handler));
  EXPECT_OK(server);
  return *std::move(server);
}

void Echo(HttpExchange& exchange) {
  auto body = exchange.ReadBody(1000);
  if (!body.ok()) return exchange.Respond(413, "text/plain", std::string(body.status().message()));
  exchange.Respond(200, "text/plain",
                   absl::StrCat(exchange.method(), " ", exchange.path(), " [", *body, "]"));
}

TEST(HttpServerTest, ServesRequestsOfOneConnectionInTurn) {
  const auto server = StartServer(Echo);
  RawClient client(server->port());
  client.Send("GET /a%20b/c?x=1 HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(client.ReadUntil("[]"), AllOf(StartsWith("HTTP/1.1 200"), EndsWith("GET /a b/c []")));
  client.Send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
  EXPECT_THAT(client.ReadUntil("]"), EndsWith("POST /p [abc]"));
  client.Send(
      "PATCH /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
      "chunked\r\n\r\n3\r\nxyz\r\n1\r\n!\r\n0\r\n\r\n");
  EXPECT_THAT(client.ReadUntil("]"), EndsWith("PATCH /p [xyz!]"));
  client.Send("DELETE /d HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(client.ReadUntil("]"), EndsWith("DELETE /d []"));
}

TEST(HttpServerTest, GivesQueryParametersAndHeaders) {
  const auto server = StartServer([](HttpExchange& exchange) {
    exchange.Respond(
        200, "text/plain",
        absl::StrCat(exchange.Query("tag").value_or("-"), "|", exchange.Query("text").value_or("-"),
                     "|", exchange.Query("empty").value_or("-"), "|",
                     exchange.Query("no").value_or("-"), "|", exchange.QueryAll("p").size(), "|",
                     exchange.Header("X-THING").value_or("-"), "|", exchange.remote_address(),
                     "|end"));
  });
  RawClient client(server->port());
  client.Send(
      "GET /?tag=my%2Fapp:1&text&empty=&p=1&p=2 HTTP/1.1\r\nHost: h\r\nx-thing: 5\r\nREMOTE_ADDR: "
      "9.9.9.9\r\n\r\n");
  EXPECT_THAT(client.ReadUntil("|end"), EndsWith("my/app:1|||-|2|5|127.0.0.1|end"));
}

TEST(HttpServerTest, HeadHasNoBodyAndKeepsTheConnection) {
  const auto server = StartServer(Echo);
  RawClient client(server->port());
  client.Send(
      "HEAD /h HTTP/1.1\r\nHost: h\r\n\r\nGET /next HTTP/1.1\r\nHost: h\r\nConnection: "
      "close\r\n\r\n");
  const std::string answers = client.ReadAll();
  EXPECT_THAT(answers, Not(HasSubstr("HEAD /h")));
  EXPECT_THAT(answers, EndsWith("GET /next []"));
}

TEST(HttpServerTest, BodyBeyondTheBoundIsRefusedHoweverItIsFramed) {
  const auto server = StartServer(Echo);
  const std::string big(600'000, 'x');
  for (const std::string& request :
       {absl::StrCat("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: ", big.size(), "\r\n\r\n",
                     big),
        absl::StrCat("POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
                     absl::Hex(big.size()), "\r\n", big, "\r\n0\r\n\r\n")}) {
    RawClient client(server->port());
    std::thread sender([&] { client.Send(request); });
    EXPECT_THAT(client.ReadAll(),
                AllOf(StartsWith("HTTP/1.1 413"), HasSubstr("larger than 1000 bytes")));
    sender.join();
  }
}

TEST(HttpServerTest, UnreadBodyIsNotTheNextRequest) {
  const auto server = StartServer(
      [](HttpExchange& exchange) { exchange.Respond(200, "text/plain", exchange.path()); });
  RawClient client(server->port());
  const std::string inner = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
  client.Send(absl::StrCat("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: ", inner.size(),
                           "\r\n\r\n", inner,
                           "GET /b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
  const std::string answers = client.ReadAll();
  EXPECT_THAT(answers, HasSubstr("/a"));
  EXPECT_THAT(answers, EndsWith("/b"));
  EXPECT_THAT(answers, Not(HasSubstr("smuggled")));
}

TEST(HttpServerTest, LongUnreadBodyClosesTheConnection) {
  const auto server =
      StartServer([](HttpExchange& exchange) { exchange.Respond(200, "text/plain", "answer"); });
  RawClient client(server->port());
  std::thread sender([&] {
    client.Send("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\n" +
                std::string(1 << 20, 'x'));
  });
  EXPECT_THAT(client.ReadAll(), AllOf(StartsWith("HTTP/1.1 200"), EndsWith("answer")));
  sender.join();
}

TEST(HttpServerTest, GetWithABodyIsRefused) {
  const auto server = StartServer(Echo);
  RawClient client(server->port());
  client.Send("GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
  EXPECT_THAT(client.ReadAll(), StartsWith("HTTP/1.1 400"));
}

TEST(HttpServerTest, UnclearFramingIsRefused) {
  const auto server = StartServer(Echo);
  for (const char* headers : {"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
                              "Content-Length: 3\r\nContent-Length: 5\r\n",
                              "Content-Length: -1\r\n", "Transfer-Encoding: gzip, chunked\r\n"}) {
    RawClient client(server->port());
    client.Send(absl::StrCat("POST /a HTTP/1.1\r\nHost: h\r\n", headers, "\r\n0\r\n\r\n"));
    EXPECT_THAT(client.ReadAll(), StartsWith("HTTP/1.1 400")) << headers;
  }
}

TEST(HttpServerTest, EndlessHeadIsCutOff) {
  const auto server = StartServer(Echo);
  RawClient client(server->port());
  std::string head = "GET /a HTTP/1.1\r\n";
  for (int i = 0; i < 20'000; ++i) absl::StrAppend(&head, "X-", i, ": y\r\n");
  std::thread sender([&] { client.Send(head + "\r\n"); });
  EXPECT_THAT(client.ReadAll(), Not(StartsWith("HTTP/1.1 200")));
  sender.join();
}

TEST(HttpServerTest, ExceptionTextDoesNotLeak) {
  const auto server = StartServer([](HttpExchange&) { throw std::runtime_error("secret path"); });
  RawClient client(server->port());
  client.Send("GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.ReadAll(), AllOf(StartsWith("HTTP/1.1 500"), Not(HasSubstr("secret"))));
}

TEST(HttpServerTest, ForgottenAnswerIsA500) {
  const auto server = StartServer([](HttpExchange&) {});
  RawClient client(server->port());
  client.Send("GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.ReadAll(), StartsWith("HTTP/1.1 500"));
}

TEST(HttpServerTest, RangeIsAnsweredWhole) {
  const auto server = StartServer(
      [](HttpExchange& exchange) { exchange.Respond(200, "text/plain", "0123456789"); });
  RawClient client(server->port());
  client.Send("GET /a HTTP/1.1\r\nHost: h\r\nRange: bytes=2-3\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.ReadAll(), AllOf(StartsWith("HTTP/1.1 200"), EndsWith("0123456789")));
}

TEST(HttpServerTest, StreamedPiecesArriveAtOnce) {
  absl::Notification first_was_read;
  const auto server = StartServer([&](HttpExchange& exchange) {
    exchange.RespondStream(200, "text/event-stream", [&](HttpResponseStream& stream) {
      EXPECT_TRUE(stream.Write("one\n"));
      first_was_read.WaitForNotification();
      EXPECT_TRUE(stream.Write("two\n"));
    });
  });
  RawClient client(server->port());
  client.Send("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(client.ReadUntil("one\n"), HasSubstr("Transfer-Encoding: chunked"));
  first_was_read.Notify();
  EXPECT_EQ(client.ReadUntil("0\r\n\r\n"), "\r\n4\r\ntwo\n\r\n0\r\n\r\n");
}

TEST(HttpServerTest, StreamSeesThatTheClientLeft) {
  absl::Notification closed;
  absl::Notification seen;
  const auto server = StartServer([&](HttpExchange& exchange) {
    exchange.RespondStream(200, "text/plain", [&](HttpResponseStream& stream) {
      EXPECT_TRUE(stream.IsOpen());
      EXPECT_TRUE(stream.Write("here\n"));
      closed.WaitForNotification();
      EXPECT_FALSE(stream.IsOpen());
      EXPECT_FALSE(stream.Write("anybody?"));
      seen.Notify();
    });
  });
  RawClient client(server->port());
  client.Send("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
  client.ReadUntil("here\n");
  client.Close();
  closed.Notify();
  seen.WaitForNotification();
}

TEST(HttpServerTest, CompressesForClientsThatAcceptIt) {
  const auto server = StartServer(
      [](HttpExchange& exchange) {
        exchange.Respond(200, "text/plain", std::string(100'000, 'a'));
      },
      {.compress = true});
  RawClient client(server->port());
  client.Send(
      "GET /a HTTP/1.1\r\nHost: h\r\nAccept-Encoding: br, gzip\r\nConnection: close\r\n\r\n");
  const std::string compressed = client.ReadAll();
  EXPECT_THAT(compressed, HasSubstr("Content-Encoding: gzip\r\n"));
  EXPECT_LT(compressed.size(), 2'000);
  RawClient plain(server->port());
  plain.Send(
      "GET /a HTTP/1.1\r\nHost: h\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(plain.ReadAll(), AllOf(Not(HasSubstr("Content-Encoding")), EndsWith("aaaa")));
}

TEST(HttpServerTest, DetachedAnswerNeedsNoThread) {
  absl::Mutex mutex;
  std::vector<std::unique_ptr<HttpDetachedStream>> streams;
  const auto server = StartServer(
      [&](HttpExchange& exchange) {
        exchange.RespondDetached(200, "text/plain",
                                 [&](std::unique_ptr<HttpDetachedStream> stream) {
                                   const absl::MutexLock lock(&mutex);
                                   streams.push_back(std::move(stream));
                                 });
      },
      {.max_connections = 8});  // fewer than answers; some threads may be a little late
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<RawClient>(server->port()));
    clients.back()->Send("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_THAT(clients.back()->ReadUntil("\r\n\r\n"),
                AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("Connection: close"),
                      HasSubstr("Transfer-Encoding: chunked")));
  }
  const absl::MutexLock lock(&mutex);
  const auto all = [&]() { return streams.size() == 20; };
  mutex.Await(absl::Condition(&all));
  for (auto& stream : streams) {
    EXPECT_FALSE(stream->IsBroken());
    stream->Write("first");
    stream->Write(std::string(17, 'x'));
    stream->Finish();
    EXPECT_EQ(stream->unsent(), 0);
  }
  streams.clear();
  for (auto& client : clients) {
    EXPECT_EQ(client->ReadAll(), "5\r\nfirst\r\n11\r\nxxxxxxxxxxxxxxxxx\r\n0\r\n\r\n");
  }
}

TEST(HttpServerTest, DetachedAnswerKeepsWhatTheClientDoesNotTakeAndSeesItGo) {
  absl::Notification taken;
  std::unique_ptr<HttpDetachedStream> stream;
  const auto server = StartServer([&](HttpExchange& exchange) {
    exchange.RespondDetached(200, "text/plain", [&](std::unique_ptr<HttpDetachedStream> its) {
      stream = std::move(its);
      taken.Notify();
    });
  });
  RawClient client(server->port());
  client.Send("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
  taken.WaitForNotification();
  const std::string much(32 << 20, 'x');
  stream->Write(much);
  EXPECT_GT(stream->unsent(), 0);
  std::string got = client.ReadUntil("x");
  while (stream->unsent() > 0) {
    got += client.ReadSome();
    stream->Flush();
  }
  stream->Finish();
  client.Close();
  while (!stream->IsBroken()) {
  }
  stream->Write("nobody");
  EXPECT_EQ(stream->unsent(), 0);
}

TEST(HttpServerTest, DetachedAnswerIsCompressedPieceByPiece) {
  absl::Notification taken;
  std::unique_ptr<HttpDetachedStream> stream;
  const auto server = StartServer(
      [&](HttpExchange& exchange) {
        exchange.RespondDetached(200, "text/plain", [&](std::unique_ptr<HttpDetachedStream> its) {
          stream = std::move(its);
          taken.Notify();
        });
      },
      {.compress = true});
  RawClient client(server->port());
  client.Send("GET /a HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n");
  EXPECT_THAT(client.ReadUntil("\r\n\r\n"), HasSubstr("Content-Encoding: gzip"));
  taken.WaitForNotification();
  stream->Write(std::string(10'000, 'a'));
  // All of it is there to be read before there is more: it was flushed.
  const std::string size = client.ReadUntil("\r\n");
  EXPECT_LT(std::stoi(size, nullptr, 16), 1'000);
  stream->Finish();
  stream.reset();
  EXPECT_THAT(client.ReadAll(), EndsWith("0\r\n\r\n"));
}

TEST(HttpServerTest, ConnectionsBeyondTheBoundAreAnswered503) {
  const auto server = StartServer(Echo, {.max_connections = 2});
  RawClient first(server->port());
  RawClient second(server->port());
  for (RawClient* client : {&first, &second}) {
    client->Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_THAT(client->ReadUntil("]"), StartsWith("HTTP/1.1 200"));
  }
  RawClient third(server->port());
  EXPECT_THAT(third.ReadAll(), AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("Retry-After: 1"),
                                     EndsWith("try later\n")));
}

TEST(HttpServerTest, ManyConnectionsAtOnce) {
  const auto server = StartServer(Echo);
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 100; ++i) clients.push_back(std::make_unique<RawClient>(server->port()));
  for (auto& client : clients) client->Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  for (auto& client : clients) EXPECT_THAT(client->ReadUntil("]"), StartsWith("HTTP/1.1 200"));
}

TEST(HttpServerTest, StopEndsIdleConnectionsAndStreams) {
  absl::Notification streaming;
  const auto server = StartServer([&](HttpExchange& exchange) {
    if (exchange.path() == "/idle") return exchange.Respond(200, "text/plain", "idle]");
    exchange.RespondStream(200, "text/plain", [&](HttpResponseStream& stream) {
      stream.Write("on");
      streaming.Notify();
      while (stream.IsOpen()) std::this_thread::yield();
    });
  });
  RawClient idle(server->port());
  idle.Send("GET /idle HTTP/1.1\r\nHost: h\r\n\r\n");
  idle.ReadUntil("]");
  RawClient streamed(server->port());
  streamed.Send("GET /s HTTP/1.1\r\nHost: h\r\n\r\n");
  streaming.WaitForNotification();
  server->Stop();
  EXPECT_EQ(idle.ReadAll(), "");
  EXPECT_THAT(streamed.ReadAll(), EndsWith("on\r\n0\r\n\r\n"));
}

// Connects, asks for `path` unless it is empty, and waits for the answer. errno of the connect; 0:
// it worked.
int AskOnce(int port, const std::string& path = "") {
  const UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<in_port_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return errno;
  if (path.empty()) return 0;
  const std::string request = absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: h\r\n\r\n");
  char byte;
  if (send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) > 0) recv(fd.get(), &byte, 1, 0);
  return 0;
}

TEST(HttpServerTest, WhatRetiresServesOnAndThenRefuses) {
  absl::Notification slow_began;
  absl::Notification slow_may_end;
  const auto server = StartServer([&](HttpExchange& exchange) {
    if (exchange.path() == "/slow") {
      slow_began.Notify();
      slow_may_end.WaitForNotification();
    }
    Echo(exchange);
  });
  RawClient slow(server->port());
  slow.Send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n");
  slow_began.WaitForNotification();
  RawClient kept(server->port());
  std::thread retiring(
      [&] { server->Retire(absl::Milliseconds(300), absl::Seconds(60), absl::Seconds(60)); });
  std::string answer;  // until it has begun
  while (!absl::StrContains(answer, "Connection: close")) {
    kept.Send("GET /kept HTTP/1.1\r\nHost: h\r\n\r\n");
    answer = kept.ReadUntil("[]");
    ASSERT_THAT(answer, EndsWith("GET /kept []"));
  }
  EXPECT_EQ(kept.ReadSome(), "");
  RawClient late(server->port());
  late.Send("GET /late HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(late.ReadAll(), AllOf(HasSubstr("Connection: close"), EndsWith("GET /late []")));
  while (AskOnce(server->port()) == 0) std::this_thread::yield();
  EXPECT_EQ(AskOnce(server->port()), ECONNREFUSED);
  slow_may_end.Notify();
  EXPECT_THAT(slow.ReadUntil("[]"), EndsWith("GET /slow []"));
  retiring.join();
  server->Stop();
}

TEST(HttpServerTest, RetiringEndsInSpiteOfProbesAndAfterTheLongestWait) {
  const auto server = StartServer(Echo, {.probe_path = "/probe"});
  std::thread probing([&] {
    while (AskOnce(server->port(), "/probe") == 0) std::this_thread::yield();
  });
  // Probes are nobody's requests.
  server->Retire(absl::Milliseconds(50), absl::Hours(1), absl::ZeroDuration());
  probing.join();

  const auto busy = StartServer(Echo);
  busy->Retire(absl::Hours(1), absl::Milliseconds(100), absl::ZeroDuration());
  EXPECT_EQ(AskOnce(busy->port()), ECONNREFUSED);
}

// Also where nobody has looked at the connection yet.
TEST(HttpServerTest, StopAnswersWhatHasArrived) {
  for (int i = 0; i < 50; ++i) {
    const auto server = StartServer(Echo);
    RawClient first(server->port());
    RawClient second(server->port());
    first.Send("GET /first HTTP/1.1\r\nHost: h\r\n\r\n");
    second.Send("POST /second HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n");
    std::thread rest([&] { second.Send("ok"); });
    server->Stop();
    rest.join();
    ASSERT_THAT(first.ReadAll(), EndsWith("GET /first []"));
    ASSERT_THAT(second.ReadAll(), EndsWith("POST /second [ok]"));
  }
}

TEST(HttpServerTest, TakenPortIsUnavailable) {
  const auto server = StartServer(Echo);
  const HttpServerOptions options = {.port = server->port()};
  EXPECT_THAT(HttpServer::Start(options, Echo),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("choose another")));
}

TEST(HttpServerTest, UrlNamesHostAndPort) {
  const auto server = StartServer(Echo);
  EXPECT_EQ(server->url(), absl::StrCat("http://127.0.0.1:", server->port()));
}

}  // namespace
}  // namespace contree
