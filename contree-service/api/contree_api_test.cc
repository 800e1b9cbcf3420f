// The API client against a server that misbehaves as real ones do.

#include "contree-service/api/contree_api.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <stop_token>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/http/gzip_encoder.h"
#include "common/http/http_stream_loop.h"
#include "common/http/httplib_http_client.h"
#include "common/testing/one_answer_server.h"
#include "common/testing/status_matchers.h"
#include "common/time/fake_clock.h"
#include "contree-service/testing/scripted_api.h"

namespace contree {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kImage[] = "95ba4f1b-a511-325b-8000-000000000002";
constexpr char kOperation[] = "01a0d8ca-28fd-777e-8000-000000000001";
// Sun, 06 Nov 1994 08:49:30 GMT
const absl::Time kNow = absl::FromUnixSeconds(784'111'770);

class ContreeApiTest : public testing::Test {
 protected:
  ContreeApi Api(const std::string& base_url) {
    auto http = HttplibHttpClient::Create({.base_url = base_url});
    EXPECT_OK(http);
    return ContreeApi(*std::move(http),
                      {.base_url = base_url, .token = "sesame", .project = "", .platform = ""},
                      &clock_,
                      {.max_attempts = 5,
                       .backoff = {.first = absl::Milliseconds(100),
                                   .largest = absl::Seconds(5),
                                   .factor = 2,
                                   .jitter = 0}});
  }
  ContreeApi Api() { return Api(server_.url()); }

  // Answers `route` with these statuses in turn, the last one for ever, with a body that is good
  // for every call here.
  void Script(const std::string& route, const std::vector<int>& statuses,
              const std::string& retry_after = "") {
    auto turn = std::make_shared<std::atomic<size_t>>(0);
    server_.On(route, [=](HttpExchange& exchange) {
      const int status = statuses[std::min(turn->fetch_add(1), statuses.size() - 1)];
      if (!retry_after.empty() && status >= 400) exchange.SetHeader("Retry-After", retry_after);
      exchange.Respond(status, "application/json",
                       status < 300 ? absl::StrCat("{\"uuid\":\"", kImage, "\",\"unknown\":{}}")
                                    : absl::StrCat("{\"error\":\"because of ", status,
                                                   "\",\"status\":", status, "}"));
    });
  }

  absl::StatusOr<v1::Image> GetImage() { return Api().GetImage(kImage, context_); }
  absl::StatusOr<std::string> StartInstance() {
    v1::RunInstanceRequest request;
    request.set_command("ls");
    return Api().StartInstance(request, kImage, context_);
  }

  const std::string get_image_ = absl::StrCat("GET /v1/inspect/", kImage, "/");
  ScriptedApi server_;
  FakeClock clock_{kNow};
  CallContext context_;  // by the fake clock's time a deadline of the real one is far off: none
};

TEST_F(ContreeApiTest, ReadsAreTriedAgainAfterTransientErrors) {
  for (const int status : {425, 429, 500, 502, 503, 504}) {
    Script(get_image_, {status, status, 200});
    const int before = server_.Count(get_image_);
    EXPECT_OK(GetImage()) << status;
    EXPECT_EQ(server_.Count(get_image_) - before, 3) << status;
  }
}

TEST_F(ContreeApiTest, PausesGrowAndRetryAfterReplacesThem) {
  Script(get_image_, {500, 500, 500, 200});
  EXPECT_OK(GetImage());
  EXPECT_THAT(clock_.sleeps(), ElementsAre(absl::Milliseconds(100), absl::Milliseconds(200),
                                           absl::Milliseconds(400)));
  for (const auto& [value, pause] : std::vector<std::pair<std::string, absl::Duration>>{
           {"3", absl::Seconds(3)}, {"0.5", absl::Milliseconds(500)}}) {
    Script(get_image_, {503, 200}, value);
    EXPECT_OK(GetImage());
    EXPECT_EQ(clock_.sleeps().back(), pause);
  }
  const absl::Time later = clock_.Now() + absl::Seconds(9);
  Script(get_image_, {503, 200},
         absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT", later, absl::UTCTimeZone()));
  EXPECT_OK(GetImage());
  EXPECT_GT(clock_.sleeps().back(), absl::Seconds(8));
  EXPECT_LE(clock_.sleeps().back(), absl::Seconds(9));
}

TEST_F(ContreeApiTest, TooEarlyAndTooManyAreObeyedInEveryForm) {
  for (const int status : {425, 429}) {
    for (const auto& [value, least, most] :
         std::vector<std::tuple<std::string, absl::Duration, absl::Duration>>{
             {"2", absl::Seconds(2), absl::Seconds(2)},
             {"0.25", absl::Milliseconds(250), absl::Milliseconds(250)},
             {absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT", clock_.Now() + absl::Seconds(100),
                               absl::UTCTimeZone()),
              absl::Seconds(50), absl::Seconds(100)},
             {"soon", absl::Milliseconds(100), absl::Milliseconds(100)}}) {
      Script(get_image_, {status, 200}, value);
      EXPECT_OK(GetImage()) << status << " " << value;
      EXPECT_GE(clock_.sleeps().back(), least) << status << " " << value;
      EXPECT_LE(clock_.sleeps().back(), most) << status << " " << value;
      Script("POST /v1/instances", {status, 201}, value);
      EXPECT_OK(StartInstance()) << status << " " << value;
    }
  }
}

TEST_F(ContreeApiTest, TheTraceOfTheCallerIsPassedOn) {
  std::string traceparent;
  std::string tracestate;
  std::string baggage;
  server_.On(get_image_, [&](HttpExchange& exchange) {
    traceparent = exchange.Header("Traceparent").value_or("");
    tracestate = exchange.Header("Tracestate").value_or("");
    baggage = exchange.Header("Baggage").value_or("");
    exchange.Respond(200, "application/json", absl::StrCat("{\"uuid\":\"", kImage, "\"}"));
  });
  context_.trace = {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "vendor=1",
                    "user=7"};
  EXPECT_OK(GetImage());
  EXPECT_EQ(traceparent, context_.trace.traceparent);
  EXPECT_EQ(tracestate, "vendor=1");
  EXPECT_EQ(baggage, "user=7");
  // Without one the platform can still tell requests apart by their ids.
  context_.trace = {};
  context_.request_id = "01a0d8ca-28fd-777e-8000-000000000009";
  EXPECT_OK(GetImage());
  EXPECT_THAT(traceparent, HasSubstr("00-01a0d8ca28fd777e8000000000000009-"));
  EXPECT_EQ(tracestate, "");
}

TEST_F(ContreeApiTest, GivesUpAfterItsAttemptsAndSaysSo) {
  Script(get_image_, {503});
  EXPECT_THAT(GetImage(), StatusIs(absl::StatusCode::kUnavailable,
                                   AllOf(HasSubstr(kImage), HasSubstr("because of 503"),
                                         HasSubstr("5 attempts"))));
}

TEST_F(ContreeApiTest, PermanentErrorsAreNotTriedAgain) {
  const std::vector<std::pair<int, absl::StatusCode>> table = {
      {400, absl::StatusCode::kInvalidArgument},    {401, absl::StatusCode::kUnauthenticated},
      {402, absl::StatusCode::kResourceExhausted},  {403, absl::StatusCode::kPermissionDenied},
      {404, absl::StatusCode::kNotFound},           {405, absl::StatusCode::kUnimplemented},
      {409, absl::StatusCode::kFailedPrecondition}, {410, absl::StatusCode::kUnavailable},
      {413, absl::StatusCode::kInvalidArgument},    {422, absl::StatusCode::kFailedPrecondition},
      {501, absl::StatusCode::kUnimplemented}};
  for (const auto& [status, code] : table) {
    Script(get_image_, {status});
    const int before = server_.Count(get_image_);
    EXPECT_THAT(GetImage(), StatusIs(code, AllOf(HasSubstr(kImage),
                                                 HasSubstr(absl::StrCat("because of ", status)))));
    EXPECT_EQ(server_.Count(get_image_) - before, 1) << status;
  }
}

TEST_F(ContreeApiTest, APostIsReplayedOnlyWhereItWasNotProcessed) {
  for (const int status : {425, 429}) {
    Script("POST /v1/instances", {status, 201});
    EXPECT_OK(StartInstance()) << status;
  }
  for (const int status : {500, 502, 503, 504}) {
    Script("POST /v1/instances", {status, 201});
    const int before = server_.Count("POST /v1/instances");
    EXPECT_THAT(StartInstance(),
                StatusIs(absl::StatusCode::kUnknown, HasSubstr("not known whether")));
    EXPECT_EQ(server_.Count("POST /v1/instances") - before, 1) << status;
  }
}

TEST_F(ContreeApiTest, APostToNobodyIsTriedAgain) {
  std::string url;
  {
    const ScriptedApi gone;
    url = gone.url();
  }
  v1::RunInstanceRequest request;
  request.set_command("ls");
  EXPECT_THAT(Api(url).StartInstance(request, kImage, context_),
              StatusIs(absl::StatusCode::kUnavailable,
                       AllOf(HasSubstr("cannot connect"), HasSubstr("5 attempts"))));
  EXPECT_EQ(clock_.sleeps().size(), 4u);
  // With the pauses of every day, too, whoever waits learns of a wrong address within seconds.
  const absl::Time start = clock_.Now();
  const ContreeApi usual(*HttplibHttpClient::Create({.base_url = url}),
                         {.base_url = url, .token = "sesame", .project = "", .platform = ""},
                         &clock_);
  EXPECT_THAT(usual.StartInstance(request, kImage, context_),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("nobody was there")));
  EXPECT_LE(clock_.Now() - start, absl::Seconds(3));
}

TEST_F(ContreeApiTest, CancellationEndsTheTrying) {
  std::stop_source stop;
  context_.stop = stop.get_token();
  server_.On(get_image_, [&](HttpExchange& exchange) {
    exchange.Respond(503);
    stop.request_stop();
  });
  EXPECT_THAT(GetImage(), StatusIs(absl::StatusCode::kCancelled, testing::_));
  EXPECT_EQ(server_.Count(get_image_), 1);
}

TEST_F(ContreeApiTest, ARedirectElsewhereIsAnErrorAndNothingIsSentThere) {
  ScriptedApi elsewhere;
  elsewhere.On("GET /steal", 200, "{}");
  server_.On(get_image_, [&](HttpExchange& exchange) {
    exchange.SetHeader("Location", elsewhere.url() + "/steal");
    exchange.Respond(307);
  });
  EXPECT_THAT(GetImage(), StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("redirects")));
  EXPECT_EQ(elsewhere.Count("GET /steal"), 0);
}

TEST_F(ContreeApiTest, BrokenJsonIsUnavailableAndNamesTheObject) {
  server_.On(get_image_, 200, "{\"uuid\":");
  EXPECT_THAT(GetImage(), StatusIs(absl::StatusCode::kUnavailable,
                                   AllOf(HasSubstr(kImage), HasSubstr("JSON"))));
}

TEST_F(ContreeApiTest, AnAnswerWithoutBoundIsCutOff) {
  server_.On(get_image_, [](HttpExchange& exchange) {
    exchange.RespondStream(200, "application/json", [](HttpResponseStream& stream) {
      const std::string piece(1 << 20, ' ');
      while (stream.Write(piece)) {
      }
    });
  });
  EXPECT_THAT(GetImage(), StatusIs(absl::StatusCode::kResourceExhausted,
                                   AllOf(HasSubstr(kImage), HasSubstr("larger than"))));
}

// A quarter of a gigabyte in a megabyte or so.
std::string GzipBomb() {
  GzipEncoder encoder;
  const std::string blanks(1 << 20, ' ');
  std::string bomb;
  for (int i = 0; i < 256; ++i) bomb += encoder.Encode(blanks);
  return bomb + encoder.Finish("");
}

TEST_F(ContreeApiTest, AGzipBombIsCutOff) {
  const std::string bomb = GzipBomb();
  EXPECT_LT(bomb.size(), size_t{4} << 20);
  server_.On(get_image_, [&](HttpExchange& exchange) {
    exchange.SetHeader("Content-Encoding", "gzip");
    exchange.Respond(200, "application/json", bomb);
  });
  EXPECT_THAT(GetImage(), StatusIs(absl::StatusCode::kResourceExhausted,
                                   AllOf(HasSubstr(kImage), HasSubstr("larger than"))));
  // As an error's body it says nothing more than its beginning.
  server_.On(get_image_, [&](HttpExchange& exchange) {
    exchange.SetHeader("Content-Encoding", "gzip");
    exchange.Respond(400, "application/json", bomb);
  });
  EXPECT_THAT(GetImage(), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(kImage)));
}

TEST_F(ContreeApiTest, AGzipBombInADownloadComesInPiecesAndItsReaderMayLeave) {
  const std::string bomb = GzipBomb();
  server_.On(absl::StrCat("GET /v1/inspect/", kImage, "/download"), [&](HttpExchange& exchange) {
    exchange.SetHeader("Content-Encoding", "gzip");
    exchange.Respond(200, "application/octet-stream", bomb);
  });
  size_t largest = 0;
  size_t all = 0;
  EXPECT_THAT(Api().DownloadFile(kImage, "/x", context_,
                                 [&](absl::string_view bytes) {
                                   largest = std::max(largest, bytes.size());
                                   all += bytes.size();
                                   return all > size_t{10} << 20
                                              ? absl::AbortedError("the reader has enough")
                                              : absl::OkStatus();
                                 }),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("has enough")));
  EXPECT_LE(largest, size_t{1} << 20);
  EXPECT_LE(all, size_t{11} << 20);
}

TEST_F(ContreeApiTest, AResetInTheMiddleOfABodyIsTriedAgainWhereNothingWasHandedOn) {
  OneAnswerServer server("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"uuid\":",
                         OneAnswerServer::End::kReset);
  EXPECT_THAT(
      Api(server.url()).GetImage(kImage, context_),
      StatusIs(absl::StatusCode::kUnavailable, AllOf(HasSubstr(kImage), HasSubstr("5 attempts"))));
  EXPECT_EQ(server.connections(), 5);
  // A command may have started: never again.
  EXPECT_THAT(Api(server.url()).StartInstance(v1::RunInstanceRequest(), kImage, context_),
              StatusIs(absl::StatusCode::kUnknown, HasSubstr("not known whether")));
  EXPECT_EQ(server.connections(), 6);
  // Half a file was handed on: it is an error, and not begun anew behind it.
  std::string seen;
  EXPECT_THAT(Api(server.url())
                  .DownloadFile(kImage, "/x", context_,
                                [&](absl::string_view bytes) {
                                  seen.append(bytes.data(), bytes.size());
                                  return absl::OkStatus();
                                }),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("/x in image")));
  EXPECT_EQ(seen, "{\"uuid\":");
  EXPECT_EQ(server.connections(), 7);
}

TEST_F(ContreeApiTest, LongErrorsAreShortenedAndTokensTakenOut) {
  server_.On(get_image_, 403,
             absl::StrCat(R"({"error":"token sesame )", std::string(100'000, 'x'), "\"}"));
  const auto result = GetImage();
  EXPECT_THAT(result, StatusIs(absl::StatusCode::kPermissionDenied, Not(HasSubstr("sesame"))));
  EXPECT_LT(result.status().message().size(), 2000u);
}

TEST_F(ContreeApiTest, AnOperationIsTakenFromItsLocationWhereTheBodyNamesNone) {
  server_.On("POST /v1/instances", [](HttpExchange& exchange) {
    exchange.SetHeader("Location", absl::StrCat("/sandboxes/v1/operations/", kOperation));
    exchange.Respond(201);
  });
  ASSERT_OK_AND_ASSIGN(const std::string id, StartInstance());
  EXPECT_EQ(id, kOperation);
  server_.On("POST /v1/instances", 201, "{}");
  EXPECT_THAT(StartInstance(),
              StatusIs(absl::StatusCode::kUnknown, HasSubstr("named no operation")));
}

TEST_F(ContreeApiTest, ABaseUrlMayHaveAPrefix) {
  server_.On("GET /sandboxes/v1/whoami", 200, R"({"token_uuid":"t"})");
  ASSERT_OK_AND_ASSIGN(const v1::GetIdentityResponse identity,
                       Api(server_.url() + "/sandboxes/").WhoAmI(context_));
  EXPECT_EQ(identity.token_uuid(), "t");
}

TEST_F(ContreeApiTest, ADownloadIsNotTriedAgainOnceItsFirstByteWasHandedOn) {
  const std::string route = absl::StrCat("GET /v1/inspect/", kImage, "/download");
  server_.On(route, [](HttpExchange& exchange) {
    exchange.SetHeader("Content-Length", "10");
    exchange.RespondStream(200, "application/octet-stream",
                           [](HttpResponseStream& stream) { stream.Write("half"); });
  });
  std::string seen;
  Api()
      .DownloadFile(kImage, "/x", context_,
                    [&](absl::string_view bytes) {
                      seen.append(bytes.data(), bytes.size());
                      return absl::AbortedError("the reader left");
                    })
      .IgnoreError();
  EXPECT_EQ(seen, "half");
  EXPECT_EQ(server_.Count(route), 1);
}

TEST_F(ContreeApiTest, AnEventStreamSaysHowItEnded) {
  const std::string route = absl::StrCat("GET /v1/operations/", kOperation, "/events");
  ASSERT_OK_AND_ASSIGN(const auto loop, HttpStreamLoop::Create());
  const auto follow = [&] {
    absl::Notification ended;
    EventStreamEnd end;
    EXPECT_OK(Api().OpenEvents(
        *loop, kOperation, 4, absl::Seconds(20), context_,
        [](const StreamedEvent&) { return absl::OkStatus(); },
        [&](const EventStreamEnd& its_end) {
          end = its_end;
          ended.Notify();
        }));
    ended.WaitForNotification();
    return end;
  };
  server_.On(route, [](HttpExchange& exchange) {
    EXPECT_EQ(exchange.Header("Last-Event-Id"), "4");
    EXPECT_EQ(exchange.Header("Authorization"), "Bearer sesame");
    EXPECT_EQ(exchange.Query("follow"), "1");
    exchange.RespondStream(200, "text/event-stream",
                           [](HttpResponseStream& stream) { stream.Write(": hi\n\n"); });
  });
  EXPECT_OK(follow().status);
  server_.On(route, [](HttpExchange& exchange) {
    exchange.RespondStream(200, "text/event-stream", [](HttpResponseStream& stream) {
      stream.Write("event: sse_error\ndata: x\n\n");
    });
  });
  EXPECT_THAT(follow().status, StatusIs(absl::StatusCode::kAborted, testing::_));
  Script(route, {410}, "3");
  const EventStreamEnd not_ready = follow();
  EXPECT_TRUE(not_ready.not_ready);
  EXPECT_FALSE(not_ready.no_route);
  EXPECT_EQ(not_ready.retry_after, absl::Seconds(3));
  Script(route, {410}, "0.5");
  EXPECT_EQ(follow().retry_after, absl::Milliseconds(500));
  Script(route, {410},
         absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT", clock_.Now() + absl::Seconds(7),
                          absl::UTCTimeZone()));
  EXPECT_EQ(follow().retry_after, absl::Seconds(7));
  Script(route, {410});
  EXPECT_EQ(follow().retry_after, std::nullopt);
  Script(route, {405});
  EXPECT_TRUE(follow().no_route);
  Script(route, {403});
  const EventStreamEnd forbidden = follow();
  EXPECT_FALSE(forbidden.no_route);
  EXPECT_THAT(forbidden.status,
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr(kOperation)));
}

}  // namespace
}  // namespace contree
