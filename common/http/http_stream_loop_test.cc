#include "common/http/http_stream_loop.h"

#include <httplib.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "common/http/gzip_encoder.h"
#include "common/http/http_server.h"
#include "common/testing/one_answer_server.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"

namespace contree {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// What happened to one stream.
class Record {
 public:
  HttpStreamLoop::Events Events() {
    return {.sink = {.on_head =
                         [this](const HttpResponse& head) {
                           absl::MutexLock lock(&mutex_);
                           status_ = head.status;
                           return absl::OkStatus();
                         },
                     .on_data =
                         [this](absl::string_view bytes) {
                           absl::MutexLock lock(&mutex_);
                           body_.append(bytes.data(), bytes.size());
                           return body_.size() > 100'000'000
                                      ? absl::ResourceExhaustedError("too much")
                                      : absl::OkStatus();
                         }},
            .on_end = [this](const absl::Status& status) {
              end_ = status;
              ended_.Notify();
            }};
  }
  absl::Status AwaitEnd() {
    ended_.WaitForNotification();
    return end_;
  }
  void AwaitBody(const std::string& body) {
    absl::MutexLock lock(&mutex_);
    const auto there = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return body_ == body; };
    mutex_.Await(absl::Condition(&there));
  }
  int status() {
    absl::MutexLock lock(&mutex_);
    return status_;
  }
  std::string body() {
    absl::MutexLock lock(&mutex_);
    return body_;
  }

 private:
  absl::Mutex mutex_;
  int status_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string body_ ABSL_GUARDED_BY(mutex_);
  absl::Status end_;
  absl::Notification ended_;
};

class HttpStreamLoopTest : public testing::Test {
 protected:
  HttpStreamLoopTest() : loop_(NewLoop({})) {}

  static std::unique_ptr<HttpStreamLoop> NewLoop(const HttpStreamLoopOptions& options) {
    auto loop = HttpStreamLoop::Create(options);
    EXPECT_OK(loop);
    return *std::move(loop);
  }
  static std::unique_ptr<HttpServer> Serve(HttpHandler handler, bool compress = false) {
    auto server =
        HttpServer::Start({.max_connections = 1024, .compress = compress}, std::move(handler));
    EXPECT_OK(server);
    return *std::move(server);
  }
  // The whole exchange.
  absl::Status Get(HttpStreamLoop& loop, const std::string& url, Record* record,
                   absl::Duration max_silence = absl::Seconds(20)) {
    HttpRequest request = {.target = "/x?a=b", .headers = {{"A", "b"}}};
    request.max_silence = max_silence;
    const auto id = loop.Open(url, request, record->Events());
    return id.ok() ? record->AwaitEnd() : id.status();
  }

  std::unique_ptr<HttpStreamLoop> loop_;
};

TEST_F(HttpStreamLoopTest, HandsOnWhatComesAsItComes) {
  absl::Notification go;
  const auto server = Serve([&](HttpExchange& exchange) {
    EXPECT_EQ(exchange.path(), "/prefix/x");
    EXPECT_EQ(exchange.Query("a"), "b");
    EXPECT_EQ(exchange.Header("A"), "b");
    exchange.RespondStream(200, "text/event-stream", [&](HttpResponseStream& stream) {
      stream.Write("one ");
      go.WaitForNotification();
      stream.Write("two");
    });
  });
  Record record;
  ASSERT_OK(loop_->Open(server->url() + "/prefix/", {.target = "/x?a=b", .headers = {{"A", "b"}}},
                        record.Events()));
  record.AwaitBody("one ");
  go.Notify();
  EXPECT_OK(record.AwaitEnd());
  EXPECT_EQ(record.status(), 200);
  EXPECT_EQ(record.body(), "one two");
}

TEST_F(HttpStreamLoopTest, ManyStreamsWaitAtOnce) {
  constexpr int kStreams = 300;
  absl::Mutex mutex;
  bool go = false;
  const auto server = Serve([&](HttpExchange& exchange) {
    exchange.RespondStream(200, "text/plain", [&](HttpResponseStream& stream) {
      stream.Write("begun");
      absl::MutexLock lock(&mutex);
      mutex.Await(absl::Condition(&go));
    });
  });
  std::vector<std::unique_ptr<Record>> records;
  for (int i = 0; i < kStreams; ++i) {
    records.push_back(std::make_unique<Record>());
    ASSERT_OK(loop_->Open(server->url(), {.target = "/"}, records.back()->Events()));
  }
  for (const auto& record : records) record->AwaitBody("begun");
  {
    absl::MutexLock lock(&mutex);
    go = true;
  }
  for (const auto& record : records) EXPECT_OK(record->AwaitEnd());
}

TEST_F(HttpStreamLoopTest, ALongBodyDoesNotStarveTheOthers) {
  const std::string piece(1 << 20, 'x');
  const auto server = Serve([&](HttpExchange& exchange) {
    exchange.RespondStream(200, "text/plain", [&](HttpResponseStream& stream) {
      while (stream.Write(piece)) {
      }
    });
  });
  const auto other =
      Serve([](HttpExchange& exchange) { exchange.Respond(200, "text/plain", "y"); });
  Record endless;
  ASSERT_OK(loop_->Open(server->url(), {.target = "/"}, endless.Events()));
  for (int i = 0; i < 10; ++i) {
    Record quick;
    EXPECT_OK(Get(*loop_, other->url(), &quick));
  }
  // The sink's error ends it.
  EXPECT_THAT(endless.AwaitEnd(), StatusIs(absl::StatusCode::kResourceExhausted, "too much"));
}

TEST_F(HttpStreamLoopTest, ClosingEndsAStreamAlsoFromItsOwnEvent) {
  absl::Notification left;
  const auto server = Serve([&](HttpExchange& exchange) {
    exchange.RespondStream(200, "text/plain", [&](HttpResponseStream& stream) {
      stream.Write("x");
      absl::Mutex never;
      absl::MutexLock lock(&never);
      const bool no = false;
      while (stream.IsOpen()) never.AwaitWithTimeout(absl::Condition(&no), absl::Milliseconds(5));
      left.Notify();
    });
  });
  Record record;
  HttpStreamLoop::Events events = record.Events();
  absl::Notification opened;
  HttpStreamLoop::Id id = 0;
  events.sink.on_data = [&](absl::string_view) {
    opened.WaitForNotification();  // only so that the test knows the id
    loop_->Close(id);
    return absl::OkStatus();
  };
  ASSERT_OK_AND_ASSIGN(id, loop_->Open(server->url(), {.target = "/"}, std::move(events)));
  opened.Notify();
  EXPECT_THAT(record.AwaitEnd(), StatusIs(absl::StatusCode::kCancelled, testing::_));
  left.WaitForNotification();
  loop_->Close(id);  // too late is no harm
}

TEST_F(HttpStreamLoopTest, TheEndOfTheLoopEndsItsStreams) {
  absl::Mutex mutex;
  bool go = false;
  const auto server = Serve([&](HttpExchange& exchange) {
    exchange.RespondStream(200, "text/plain", [&](HttpResponseStream& stream) {
      stream.Write("begun");
      absl::MutexLock lock(&mutex);
      mutex.Await(absl::Condition(&go));
    });
  });
  Record record;
  ASSERT_OK(loop_->Open(server->url(), {.target = "/"}, record.Events()));
  record.AwaitBody("begun");
  loop_.reset();
  EXPECT_THAT(record.AwaitEnd(), StatusIs(absl::StatusCode::kCancelled, testing::_));
  absl::MutexLock lock(&mutex);
  go = true;
}

TEST_F(HttpStreamLoopTest, SilenceCountsAsABrokenConnection) {
  absl::Mutex mutex;
  bool go = false;
  const auto server = Serve([&](HttpExchange& exchange) {
    exchange.RespondStream(200, "text/plain", [&](HttpResponseStream& stream) {
      stream.Write("begun");
      absl::MutexLock lock(&mutex);
      mutex.Await(absl::Condition(&go));
    });
  });
  Record record;
  EXPECT_THAT(Get(*loop_, server->url(), &record, absl::Milliseconds(50)),
              StatusIs(absl::StatusCode::kUnavailable,
                       AllOf(HasSubstr("nothing came for 50ms"), HasSubstr(server->url() + "/x"))));
  absl::MutexLock lock(&mutex);
  go = true;
}

TEST_F(HttpStreamLoopTest, RedirectsAreNotFollowedAndErrorsComeWhole) {
  const auto server = Serve([](HttpExchange& exchange) {
    exchange.SetHeader("Location", "http://127.0.0.1:1/");
    exchange.Respond(302, "text/plain", "there");
  });
  Record record;
  EXPECT_OK(Get(*loop_, server->url(), &record));
  EXPECT_EQ(record.status(), 302);
  EXPECT_EQ(record.body(), "there");
}

TEST_F(HttpStreamLoopTest, GzipIsNotAskedForButUnderstood) {
  OneAnswerServer server("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" +
                         GzipEncoder().Finish("small"));
  Record record;
  EXPECT_OK(Get(*loop_, server.url(), &record));
  EXPECT_EQ(record.body(), "small");
  EXPECT_THAT(server.last_request(), HasSubstr("\r\nAccept-Encoding: identity\r\n"));
}

TEST_F(HttpStreamLoopTest, SaysHowAConnectionBroke) {
  std::string gone;
  {
    const auto server = Serve([](HttpExchange&) {});
    gone = server->url();
  }
  Record refused;
  EXPECT_THAT(Get(*loop_, gone, &refused),
              StatusIs(absl::StatusCode::kUnavailable,
                       AllOf(HasSubstr(gone), HasSubstr("cannot connect"))));
  {
    OneAnswerServer server("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    Record half;
    EXPECT_THAT(Get(*loop_, server.url(), &half),
                StatusIs(absl::StatusCode::kUnavailable, HasSubstr("before the answer was")));
    EXPECT_EQ(half.body(), "half");
  }
  {
    OneAnswerServer server("220 mail.example.org ESMTP\r\n");
    Record mail;
    EXPECT_THAT(Get(*loop_, server.url(), &mail),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("HTTP")));
  }
  Record unresolved;
  EXPECT_THAT(Get(*loop_, "http://host.invalid", &unresolved),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("host.invalid")));
}

TEST_F(HttpStreamLoopTest, RefusesWhatCannotBeSent) {
  Record record;
  EXPECT_THAT(loop_->Open("ftp://x", {.target = "/"}, record.Events()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("base URL")));
  EXPECT_THAT(
      loop_->Open("http://127.0.0.1:1",
                  {.target = "/", .headers = {{"A", "b\r\nAuthorization: c"}}}, record.Events()),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("line break")));
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

TEST_F(HttpStreamLoopTest, SpeaksTlsAndTrustsOnlyCertificatesThatVerify) {
  const Certificate certificate;
  TempDirectory temp;
  const std::string ca_file = temp.File("ca.pem");
  std::unique_ptr<FILE, int (*)(FILE*)> file(fopen(ca_file.c_str(), "w"), fclose);
  ASSERT_EQ(PEM_write_X509(file.get(), certificate.x509.get()), 1);
  file.reset();
  httplib::SSLServer server(certificate.x509.get(), certificate.key.get());
  const std::string body(200'000, 'z');
  server.Get("/x", [&](const httplib::Request&, httplib::Response& response) {
    response.set_content(body, "text/plain");
  });
  const int port = server.bind_to_any_port("127.0.0.1");
  std::thread serving([&] { server.listen_after_bind(); });
  while (!server.is_running()) std::this_thread::yield();

  Record untrusted;
  EXPECT_THAT(
      Get(*loop_, absl::StrCat("https://127.0.0.1:", port), &untrusted),
      StatusIs(absl::StatusCode::kUnauthenticated, HasSubstr("certificate does not verify")));
  const auto trusting = NewLoop({.ca_file = ca_file});
  Record trusted;
  EXPECT_OK(Get(*trusting, absl::StrCat("https://127.0.0.1:", port), &trusted));
  EXPECT_EQ(trusted.body(), body);
  // The certificate is for another name.
  Record misnamed;
  EXPECT_THAT(Get(*trusting, absl::StrCat("https://localhost:", port), &misnamed),
              StatusIs(absl::StatusCode::kUnauthenticated, HasSubstr("does not verify")));
  const auto nothing = NewLoop({.ca_file = temp.File("missing.pem")});
  Record unread;
  EXPECT_THAT(Get(*nothing, absl::StrCat("https://127.0.0.1:", port), &unread),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("missing.pem")));
  server.stop();
  serving.join();
}

}  // namespace
}  // namespace contree
