// HTTP over TLS, asked for by clients of OpenSSL's own.

#include "common/http/tls_server.h"

#include <openssl/ssl.h>
#include <signal.h>

#include <memory>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "common/files/state_directory.h"
#include "common/http/http_server.h"
#include "common/http/httplib_http_client.h"
#include "common/testing/raw_client.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/harness/certificates.h"

namespace contree {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;
using testing_harness::Certificate;
using testing_harness::KeyKind;
using testing_harness::MakeAuthority;
using testing_harness::MakeServerCertificate;

constexpr absl::Duration kPatience = absl::Seconds(30);

// One connection of a client, byte for byte.
class TlsClient {
 public:
  // `authority`, and for mTLS `own`: paths of PEM files.
  TlsClient(int port, const std::string& authority, const TlsServerFiles& own = {})
      : context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free), bio_(nullptr, BIO_free_all) {
    SSL_CTX_load_verify_file(context_.get(), authority.c_str());
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
    if (!own.empty()) {
      SSL_CTX_use_certificate_file(context_.get(), own.certificate.c_str(), SSL_FILETYPE_PEM);
      SSL_CTX_use_PrivateKey_file(context_.get(), own.key.c_str(), SSL_FILETYPE_PEM);
    }
    bio_.reset(BIO_new_ssl_connect(context_.get()));
    BIO_set_conn_hostname(bio_.get(), absl::StrCat("127.0.0.1:", port).c_str());
    is_trusted_ = BIO_do_connect(bio_.get()) == 1;
  }
  // The certificate of the server verifies.
  bool is_trusted() const { return is_trusted_; }
  // A server that has refused the client may be gone by then.
  void Send(const std::string& text) {
    BIO_write(bio_.get(), text.data(), static_cast<int>(text.size()));
  }
  std::string ReadUntil(const std::string& end) {
    std::string text;
    char byte;
    while (!absl::EndsWith(text, end) && BIO_read(bio_.get(), &byte, 1) == 1) text.push_back(byte);
    return text;
  }

 private:
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
  std::unique_ptr<BIO, decltype(&BIO_free_all)> bio_;
  bool is_trusted_ = false;
};

class TlsServerTest : public testing::Test {
 protected:
  // As every program does first (common/server/termination.h).
  static void SetUpTestSuite() { signal(SIGPIPE, SIG_IGN); }
  std::string Write(const std::string& name, const std::string& text) {
    EXPECT_OK(WritePrivateFile(temp_.File(name), text));
    return temp_.File(name);
  }
  TlsServerFiles Write(const std::string& name, const Certificate& certificate) {
    return {.certificate = Write(name + ".pem", certificate.certificate_pem),
            .key = Write(name + ".key", certificate.key_pem)};
  }
  std::unique_ptr<HttpServer> Serve(const TlsServerFiles& files, HttpServerOptions options = {}) {
    auto tls = TlsServer::Open(files);
    EXPECT_OK(tls);
    if (!tls.ok()) return nullptr;
    options.tls = *std::move(tls);
    auto server = HttpServer::Start(options, [this](HttpExchange& exchange) { Handle(exchange); });
    EXPECT_OK(server);
    return *std::move(server);
  }
  void Handle(HttpExchange& exchange) {
    if (exchange.path() == "/detached") {
      return exchange.RespondDetached(200, "text/plain",
                                      [this](std::unique_ptr<HttpDetachedStream> stream) {
                                        detached_ = std::move(stream);
                                        detached_taken_.Notify();
                                      });
    }
    const auto body = exchange.ReadBody(1 << 20);
    exchange.Respond(200, "text/plain",
                     absl::StrCat(exchange.Header("X-Forwarded-Proto").value_or("-"), " ",
                                  body.ok() ? *body : body.status().ToString(), ";"));
  }

  TempDirectory temp_;
  const Certificate authority_ = MakeAuthority(KeyKind::kEllipticCurve);
  const std::string authority_file_ = Write("ca.pem", authority_.certificate_pem);
  std::unique_ptr<HttpDetachedStream> detached_;
  absl::Notification detached_taken_;
};

TEST_F(TlsServerTest, ServesWhoTrustsItsAuthority) {
  const auto server = Serve(Write("s", MakeServerCertificate(authority_)));
  EXPECT_THAT(server->url(), StartsWith("https://127.0.0.1:"));
  TlsClient client(server->port(), authority_file_);
  ASSERT_TRUE(client.is_trusted());
  for (const char* body : {"one", "two"}) {
    client.Send(absl::StrCat(
        "POST / HTTP/1.1\r\nHost: h\r\nX-Forwarded-Proto: http\r\nContent-Length: 3\r\n\r\n",
        body));
    EXPECT_THAT(client.ReadUntil(";"),
                AllOf(StartsWith("HTTP/1.1 200"), EndsWith(absl::StrCat("https ", body, ";"))));
  }
  const std::string other = Write("other.pem", MakeAuthority(KeyKind::kRsa).certificate_pem);
  EXPECT_FALSE(TlsClient(server->port(), other).is_trusted());
}

TEST_F(TlsServerTest, ABodyOfManyRecordsArrivesWhole) {
  const auto server = Serve(Write("s", MakeServerCertificate(authority_)));
  ASSERT_OK_AND_ASSIGN(const auto client, HttplibHttpClient::Create({.base_url = server->url(),
                                                                     .ca_file = authority_file_}));
  const std::string body(1 << 20, 'x');
  const HttpRequest request = {
      .method = "POST", .target = "/", .body = body, .content_type = "text/plain"};
  ASSERT_OK_AND_ASSIGN(const HttpResponse response,
                       SendHttp(*client, request, NewCallContext(kPatience), 2 << 20));
  EXPECT_EQ(response.body, absl::StrCat("https ", body, ";"));
}

TEST_F(TlsServerTest, DetachedAnswersGoOn) {
  const auto server = Serve(Write("s", MakeServerCertificate(authority_)));
  TlsClient client(server->port(), authority_file_);
  client.Send("GET /detached HTTP/1.1\r\nHost: h\r\n\r\n");
  detached_taken_.WaitForNotification();
  detached_->Write("a piece");
  EXPECT_THAT(client.ReadUntil("a piece"), StartsWith("HTTP/1.1 200"));
  detached_->Finish();
  EXPECT_THAT(client.ReadUntil("0\r\n\r\n"), EndsWith("0\r\n\r\n"));
}

TEST_F(TlsServerTest, WhereAnAuthorityIsNamedClientsNeedItsCertificates) {
  TlsServerFiles files = Write("s", MakeServerCertificate(authority_));
  files.client_authority = authority_file_;
  const auto server = Serve(files);
  const auto answer = [&](const TlsServerFiles& own) {
    TlsClient client(server->port(), authority_file_, own);
    if (!client.is_trusted()) return std::string("refused");
    // With TLS 1.3 a client learns of its refusal when it reads.
    client.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    return client.ReadUntil(";");
  };
  EXPECT_THAT(answer(Write("c", MakeServerCertificate(authority_))), EndsWith("https ;"));
  EXPECT_EQ(answer({}), "");
  EXPECT_EQ(answer(Write("x", MakeServerCertificate(MakeAuthority(KeyKind::kRsa)))), "");
}

TEST_F(TlsServerTest, ANewCertificateIsServedWithoutARestart) {
  const auto server = Serve(Write("s", MakeServerCertificate(authority_)));
  TlsClient before(server->port(), authority_file_);
  const Certificate next = MakeAuthority(KeyKind::kEllipticCurve);
  const std::string next_file = Write("next.pem", next.certificate_pem);
  EXPECT_FALSE(TlsClient(server->port(), next_file).is_trusted());
  Write("s", MakeServerCertificate(next));
  const absl::Time end = absl::Now() + kPatience;
  while (!TlsClient(server->port(), next_file).is_trusted() && absl::Now() < end)
    std::this_thread::yield();
  EXPECT_TRUE(TlsClient(server->port(), next_file).is_trusted());
  EXPECT_FALSE(TlsClient(server->port(), authority_file_).is_trusted());
  before.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(before.ReadUntil(";"), EndsWith("https ;"));
}

TEST_F(TlsServerTest, PlainHttpIsToldWhatIsSpokenHere) {
  const auto server = Serve(Write("s", MakeServerCertificate(authority_)));
  RawClient client(server->port());
  client.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(client.ReadAll(),
              AllOf(StartsWith("HTTP/1.1 400"), EndsWith("begin the address with https\n")));
}

TEST_F(TlsServerTest, WhoDoesNotShakeHandsIsLeft) {
  const auto server = Serve(Write("s", MakeServerCertificate(authority_)),
                            {.handshake_timeout = absl::Milliseconds(100)});
  RawClient silent(server->port());
  RawClient slow(server->port());
  slow.Send("\x16\x03\x01");  // the beginning of a handshake
  EXPECT_EQ(silent.ReadSome(), "");
  EXPECT_EQ(slow.ReadSome(), "");
}

TEST_F(TlsServerTest, StopEndsHandshakesAndIdleConnections) {
  const auto server =
      Serve(Write("s", MakeServerCertificate(authority_)), {.handshake_timeout = absl::Hours(1)});
  const RawClient silent(server->port());
  TlsClient idle(server->port(), authority_file_);
  idle.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(idle.ReadUntil(";"), EndsWith("https ;"));
  server->Stop();
  EXPECT_EQ(idle.ReadUntil(";"), "");
}

TEST_F(TlsServerTest, FilesThatMakeNoCertificateAreNamed) {
  const TlsServerFiles one = Write("one", MakeServerCertificate(authority_));
  const TlsServerFiles two = Write("two", MakeServerCertificate(authority_));
  const std::string rubbish = Write("rubbish", "secret rubbish");
  const auto refusal = [](const TlsServerFiles& files) {
    const absl::Status status = TlsServer::Open(files).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(std::string(status.message()), testing::Not(HasSubstr("secret rubbish")));
    return std::string(status.message());
  };
  EXPECT_THAT(refusal({.certificate = one.certificate}), HasSubstr("name both files"));
  EXPECT_THAT(refusal({.certificate = one.certificate, .key = two.key}), HasSubstr(two.key));
  EXPECT_THAT(refusal({.certificate = rubbish, .key = one.key}), HasSubstr(rubbish));
  EXPECT_THAT(refusal({.certificate = one.certificate, .key = rubbish}), HasSubstr(rubbish));
  EXPECT_THAT(
      refusal({.certificate = one.certificate, .key = one.key, .client_authority = rubbish}),
      HasSubstr(rubbish));
  EXPECT_THAT(TlsServer::Open({.certificate = temp_.File("absent"), .key = one.key}).status(),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("absent")));
}

}  // namespace
}  // namespace contree
