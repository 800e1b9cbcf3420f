#include "common/http/httplib_http_client.h"

#include <arpa/inet.h>
#include <httplib.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/files/unique_fd.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"

namespace contree {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr size_t kMaxBody = 1 << 20;

// A well-behaved server with whatever routes a test adds before Start.
class TestServer {
 public:
  explicit TestServer(std::unique_ptr<httplib::Server> server = std::make_unique<httplib::Server>())
      : server_(std::move(server)) {
    server_->set_tcp_nodelay(true);
    server_->set_keep_alive_max_count(100'000);
  }
  ~TestServer() {
    server_->stop();
    if (thread_.joinable()) thread_.join();
  }

  httplib::Server& routes() { return *server_; }
  int Start() {
    const int port = server_->bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_->listen_after_bind(); });
    while (!server_->is_running()) std::this_thread::yield();
    return port;
  }

 private:
  std::unique_ptr<httplib::Server> server_;
  std::thread thread_;
};

// Listens, and does with each connection what a test says.
class RawServer {
 public:
  RawServer() : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_.get(), 8), 0);
    EXPECT_EQ(getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    url_ = absl::StrCat("http://127.0.0.1:", ntohs(address.sin_port));
  }
  const std::string& url() const { return url_; }
  UniqueFd Accept() { return UniqueFd(accept(listener_.get(), nullptr, nullptr)); }
  void Close() { listener_.Reset(); }

 private:
  UniqueFd listener_;
  std::string url_;
};

void ReadRequest(const UniqueFd& connection) {
  std::string head;
  char byte = 0;
  while (head.find("\r\n\r\n") == std::string::npos && read(connection.get(), &byte, 1) == 1)
    head.push_back(byte);
}

void Send(const UniqueFd& connection, const std::string& text) {
  EXPECT_EQ(write(connection.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

std::unique_ptr<HttplibHttpClient> NewClient(const HttplibHttpClientOptions& options) {
  auto client = HttplibHttpClient::Create(options);
  EXPECT_OK(client);
  return *std::move(client);
}

std::unique_ptr<HttplibHttpClient> NewClientFor(const std::string& url) {
  return NewClient(HttplibHttpClientOptions{.base_url = url});
}

std::string LocalUrl(int port) { return absl::StrCat("http://127.0.0.1:", port); }

TEST(HttplibHttpClientTest, SendsToThePathBehindThePrefixWithItsHeaders) {
  TestServer server;
  server.routes().Get("/prefix/v1/x",
                      [](const httplib::Request& request, httplib::Response& response) {
                        response.status = 418;
                        response.set_header("X-Seen", request.get_header_value("Project"));
                        response.set_content(request.get_param_value("q"), "text/plain");
                      });
  auto client = NewClientFor(LocalUrl(server.Start()) + "/prefix/");
  ASSERT_OK_AND_ASSIGN(
      HttpResponse response,
      SendHttp(*client, {.target = "/v1/x?q=a%20b%2B", .headers = {{"Project", "p1"}}},
               NewCallContext(absl::Seconds(10)), kMaxBody));
  EXPECT_EQ(response.status, 418);
  EXPECT_EQ(response.Header("x-seen"), "p1");
  EXPECT_EQ(response.body, "a b+");
}

TEST(HttplibHttpClientTest, KeepsItsConnection) {
  TestServer server;
  server.routes().Get("/", [](const httplib::Request& request, httplib::Response& response) {
    response.set_content(std::to_string(request.remote_port), "text/plain");
  });
  auto client = NewClientFor(LocalUrl(server.Start()));
  ASSERT_OK_AND_ASSIGN(HttpResponse first, SendHttp(*client, {.target = "/"},
                                                    NewCallContext(absl::Seconds(10)), kMaxBody));
  std::vector<absl::Duration> times;
  for (int i = 0; i < 200; ++i) {
    const absl::Time start = absl::Now();
    ASSERT_OK_AND_ASSIGN(HttpResponse next, SendHttp(*client, {.target = "/"},
                                                     NewCallContext(absl::Seconds(10)), kMaxBody));
    times.push_back(absl::Now() - start);
    EXPECT_EQ(next.body, first.body);
  }
  std::sort(times.begin(), times.end());
  RecordProperty("p50_microseconds", static_cast<int>(absl::ToInt64Microseconds(times[100])));
  std::printf("kept-alive exchange: p50 %d us\n",
              static_cast<int>(absl::ToInt64Microseconds(times[100])));
}

TEST(HttplibHttpClientTest, PostsBodiesHeldAndStreamed) {
  TestServer server;
  server.routes().Post("/", [](const httplib::Request& request, httplib::Response& response) {
    response.set_content(
        absl::StrCat(request.get_header_value("Content-Type"), "|",
                     request.get_header_value("Content-Length"), "|", request.body),
        "text/plain");
  });
  auto client = NewClientFor(LocalUrl(server.Start()));
  const CallContext context = NewCallContext(absl::Seconds(10));
  ASSERT_OK_AND_ASSIGN(
      HttpResponse held,
      SendHttp(*client,
               {.method = "POST", .target = "/", .body = "{}", .content_type = "application/json"},
               context, kMaxBody));
  EXPECT_EQ(held.body, "application/json|2|{}");
  for (const std::optional<size_t> size : {std::optional<size_t>(6), std::optional<size_t>()}) {
    std::vector<std::string> pieces = {"", "def", "abc"};
    HttpRequest request = {.method = "POST", .target = "/", .content_type = "a/b"};
    request.body_size = size;
    request.next_body_piece = [&pieces]() -> absl::StatusOr<std::string> {
      std::string piece = std::move(pieces.back());
      pieces.pop_back();
      return piece;
    };
    ASSERT_OK_AND_ASSIGN(HttpResponse streamed, SendHttp(*client, request, context, kMaxBody));
    EXPECT_EQ(streamed.body, absl::StrCat("a/b|", size.has_value() ? "6" : "", "|abcdef"));
  }
}

TEST(HttplibHttpClientTest, ABodySourceThatFailsEndsTheExchangeWithItsError) {
  TestServer server;
  auto client = NewClientFor(LocalUrl(server.Start()));
  HttpRequest request = {.method = "POST", .target = "/", .content_type = "a/b"};
  request.next_body_piece = []() -> absl::StatusOr<std::string> {
    return absl::DataLossError("the disk is gone");
  };
  EXPECT_THAT(SendHttp(*client, request, NewCallContext(absl::Seconds(10)), kMaxBody),
              StatusIs(absl::StatusCode::kDataLoss, "the disk is gone"));
}

TEST(HttplibHttpClientTest, DoesNotFollowRedirects) {
  TestServer server;
  server.routes().Get("/", [](const httplib::Request&, httplib::Response& response) {
    response.set_redirect("/elsewhere");
  });
  auto client = NewClientFor(LocalUrl(server.Start()));
  ASSERT_OK_AND_ASSIGN(
      HttpResponse response,
      SendHttp(*client, {.target = "/"}, NewCallContext(absl::Seconds(10)), kMaxBody));
  EXPECT_EQ(response.status, 302);
  EXPECT_EQ(response.Header("Location"), "/elsewhere");
}

TEST(HttplibHttpClientTest, InflatesAndBoundsWhatItInflates) {
  TestServer server;
  server.routes().Get("/", [](const httplib::Request& request, httplib::Response& response) {
    EXPECT_EQ(request.get_header_value("Accept-Encoding"), "gzip");
    response.set_content(std::string(100'000, 'x'), "text/plain");  // the server compresses text
  });
  auto client = NewClientFor(LocalUrl(server.Start()));
  ASSERT_OK_AND_ASSIGN(HttpResponse response, SendHttp(*client, {.target = "/"},
                                                       NewCallContext(absl::Seconds(10)), 100'000));
  EXPECT_EQ(response.Header("Content-Encoding"), "gzip");
  EXPECT_EQ(response.body, std::string(100'000, 'x'));
  EXPECT_THAT(SendHttp(*client, {.target = "/"}, NewCallContext(absl::Seconds(10)), 99'999),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("99999 bytes")));
}

TEST(HttplibHttpClientTest, StreamsAsItArrives) {
  RawServer server;
  absl::Notification first_seen;
  std::thread thread([&] {
    const UniqueFd connection = server.Accept();
    ReadRequest(connection);
    Send(connection,
         "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: "
         "chunked\r\n\r\n3\r\none\r\n");
    first_seen.WaitForNotification();
    Send(connection, "3\r\ntwo\r\n0\r\n\r\n");
  });
  auto client = NewClientFor(server.url());
  std::string seen;
  EXPECT_OK(client->Exchange({.target = "/"}, NewCallContext(absl::Seconds(10)),
                             {.on_head =
                                  [&](const HttpResponse& head) {
                                    EXPECT_EQ(head.status, 200);
                                    EXPECT_EQ(head.Header("content-type"), "text/event-stream");
                                    return absl::OkStatus();
                                  },
                              .on_data =
                                  [&](absl::string_view bytes) {
                                    seen.append(bytes.data(), bytes.size());
                                    if (seen == "one") first_seen.Notify();
                                    return absl::OkStatus();
                                  }}));
  EXPECT_EQ(seen, "onetwo");
  thread.join();
}

TEST(HttplibHttpClientTest, TheDeadlineBoundsAnAnswerThatTrickles) {
  RawServer server;
  std::thread thread([&] {
    const UniqueFd connection = server.Accept();
    ReadRequest(connection);
    Send(connection, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    // Each byte comes well before any timeout of one read.
    while (send(connection.get(), "x", 1, MSG_NOSIGNAL) == 1) {
      char ignored = 0;
      timeval pause{0, 5'000};
      setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &pause, sizeof(pause));
      if (recv(connection.get(), &ignored, 1, 0) == 0) break;
    }
  });
  auto client = NewClientFor(server.url());
  const absl::Time start = absl::Now();
  EXPECT_THAT(SendHttp(*client, {.target = "/x?secret=1"}, NewCallContext(absl::Milliseconds(150)),
                       kMaxBody),
              StatusIs(absl::StatusCode::kDeadlineExceeded,
                       testing::AllOf(HasSubstr("/x"), Not(HasSubstr("secret")))));
  EXPECT_LT(absl::Now() - start, absl::Seconds(5));
  thread.join();
}

TEST(HttplibHttpClientTest, StoppingEndsAnExchange) {
  RawServer server;
  std::stop_source stop;
  std::thread thread([&] {
    const UniqueFd connection = server.Accept();
    ReadRequest(connection);
    stop.request_stop();
    ReadRequest(connection);  // until the client is gone
  });
  auto client = NewClientFor(server.url());
  CallContext context;
  context.stop = stop.get_token();
  EXPECT_THAT(SendHttp(*client, {.target = "/"}, context, kMaxBody),
              StatusIs(absl::StatusCode::kCancelled, HasSubstr("/")));
  EXPECT_THAT(SendHttp(*client, {.target = "/"}, context, kMaxBody),
              StatusIs(absl::StatusCode::kCancelled, HasSubstr("before the request was sent")));
  thread.join();
}

TEST(HttplibHttpClientTest, StoppingEndsWaitingForAConnection) {
  RawServer server;
  auto client = NewClient({.base_url = server.url(), .max_connections = 1});
  std::stop_source stop_first;
  std::thread first([&] {
    CallContext context;
    context.stop = stop_first.get_token();
    EXPECT_THAT(SendHttp(*client, {.target = "/"}, context, kMaxBody),
                StatusIs(absl::StatusCode::kCancelled, testing::_));
  });
  const UniqueFd connection = server.Accept();
  EXPECT_THAT(SendHttp(*client, {.target = "/"}, NewCallContext(absl::Milliseconds(20)), kMaxBody),
              StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("all 1 connections")));
  std::stop_source stop;
  CallContext context;
  context.stop = stop.get_token();
  std::thread stopper([&] { stop.request_stop(); });
  EXPECT_THAT(SendHttp(*client, {.target = "/"}, context, kMaxBody),
              StatusIs(absl::StatusCode::kCancelled, testing::_));
  stopper.join();
  stop_first.request_stop();
  first.join();
}

TEST(HttplibHttpClientTest, SilenceCountsAsABrokenConnection) {
  RawServer server;
  auto client = NewClientFor(server.url());
  EXPECT_THAT(SendHttp(*client, {.target = "/", .max_silence = absl::Milliseconds(30)},
                       NewCallContext(absl::Seconds(30)), kMaxBody),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("broke")));
}

TEST(HttplibHttpClientTest, ARefusedConnectionSentNothing) {
  RawServer server;
  server.Close();
  auto client = NewClientFor(server.url());
  const auto response = SendHttp(*client, {.method = "POST", .target = "/"},
                                 NewCallContext(absl::Seconds(10)), kMaxBody);
  EXPECT_THAT(response, StatusIs(absl::StatusCode::kUnavailable, HasSubstr("cannot connect")));
  EXPECT_TRUE(NothingWasSent(response.status()));
}

TEST(HttplibHttpClientTest, AResetInTheMiddleOfABodyIsUnavailable) {
  RawServer server;
  std::thread thread([&] {
    const UniqueFd connection = server.Accept();
    ReadRequest(connection);
    Send(connection, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
  });
  auto client = NewClientFor(server.url());
  const auto response =
      SendHttp(*client, {.target = "/"}, NewCallContext(absl::Seconds(10)), kMaxBody);
  EXPECT_THAT(response, StatusIs(absl::StatusCode::kUnavailable,
                                 HasSubstr("before the answer was complete")));
  EXPECT_FALSE(NothingWasSent(response.status()));
  thread.join();
}

TEST(HttplibHttpClientTest, RefusesWhatIsNoBaseUrl) {
  for (const char* url :
       {"", "example.org", "ftp://example.org", "http://", "http:///v1",
        "http://user:secret@example.org", "http://example.org/?a=b", "http://example.org:port"}) {
    EXPECT_THAT(HttplibHttpClient::Create({.base_url = url}).status(),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is no base URL")))
        << url;
  }
}

// A certificate for 127.0.0.1 that nobody signed but itself.
struct Certificate {
  Certificate() : key(EVP_RSA_gen(2048), EVP_PKEY_free), x509(X509_new(), X509_free) {
    X509_set_version(x509.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509.get()), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x509.get()), 3600);
    X509_NAME* name = X509_get_subject_name(x509.get());
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
    X509_set_issuer_name(x509.get(), name);
    X509_EXTENSION* names =
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1");
    X509_add_ext(x509.get(), names, -1);
    X509_EXTENSION_free(names);
    X509_set_pubkey(x509.get(), key.get());
    X509_sign(x509.get(), key.get(), EVP_sha256());
  }
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key;
  std::unique_ptr<X509, decltype(&X509_free)> x509;
};

TEST(HttplibHttpClientTest, DialsTheAddressThatItIsGivenAndTellsTheServerTheHost) {
  TestServer server;
  server.routes().Get("/", [](const httplib::Request& request, httplib::Response& response) {
    response.set_content(request.get_header_value("Host"), "text/plain");
  });
  const int port = server.Start();
  // A name that resolves nowhere.
  const std::string host = absl::StrCat("registry.invalid:", port);
  ASSERT_OK_AND_ASSIGN(const auto client,
                       HttplibHttpClient::Create({.base_url = absl::StrCat("http://", host),
                                                  .dial_address = "127.0.0.1"}));
  ASSERT_OK_AND_ASSIGN(
      const HttpResponse response,
      SendHttp(*client, {.target = "/"}, NewCallContext(absl::Seconds(30)), kMaxBody));
  EXPECT_EQ(response.body, host);
}

TEST(HttplibHttpClientTest, TrustsOnlyCertificatesThatVerify) {
  const Certificate certificate;
  TempDirectory temp;
  const std::string ca_file = temp.File("ca.pem");
  std::unique_ptr<FILE, int (*)(FILE*)> file(fopen(ca_file.c_str(), "w"), fclose);
  ASSERT_EQ(PEM_write_X509(file.get(), certificate.x509.get()), 1);
  file.reset();

  TestServer server(
      std::make_unique<httplib::SSLServer>(certificate.x509.get(), certificate.key.get()));
  server.routes().Get("/", [](const httplib::Request&, httplib::Response& response) {
    response.set_content("in", "text/plain");
  });
  const std::string url = absl::StrCat("https://127.0.0.1:", server.Start());
  EXPECT_THAT(
      SendHttp(*NewClientFor(url), {.target = "/"}, NewCallContext(absl::Seconds(10)), kMaxBody),
      StatusIs(absl::StatusCode::kUnauthenticated, HasSubstr("certificate does not verify")));
  ASSERT_OK_AND_ASSIGN(HttpResponse response,
                       SendHttp(*NewClient({.base_url = url, .ca_file = ca_file}), {.target = "/"},
                                NewCallContext(absl::Seconds(10)), kMaxBody));
  EXPECT_EQ(response.body, "in");
}

}  // namespace
}  // namespace contree
