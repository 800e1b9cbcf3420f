#include "contree-service/image_resolver.h"

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/http/httplib_http_client.h"
#include "common/testing/status_matchers.h"
#include "common/time/fake_clock.h"
#include "contree-service/testing/scripted_api.h"

namespace contree {
namespace {

using ::testing::HasSubstr;

constexpr char kOne[] = "95ba4f1b-a511-325b-8000-000000000001";
constexpr char kTwo[] = "95ba4f1b-a511-325b-8000-000000000002";
constexpr char kResolve[] = "GET /v1/inspect/";

class ImageResolverTest : public testing::Test {
 protected:
  ImageResolverTest() {
    context_.tenant = "alice";
    PointAt(server_, kOne);
  }

  // From now on every tag of `server` names `uuid`.
  static void PointAt(ScriptedApi& server, const std::string& uuid) {
    server.On(kResolve, [uuid](HttpExchange& exchange) {
      exchange.SetHeader("Location", absl::StrCat(uuid, "/"));
      exchange.Respond(302);
    });
  }
  ContreeApi ApiAt(const ScriptedApi& server) {
    auto http = HttplibHttpClient::Create({.base_url = server.url()});
    EXPECT_OK(http);
    // One platform at two base URLs: what is remembered of the one is not taken for the other.
    return ContreeApi(*std::move(http),
                      {.base_url = server.url(), .token = "", .project = "", .platform = "same"},
                      &clock_, {.max_attempts = 1});
  }
  std::string Resolve(const std::string& reference = "tag:a") {
    return resolver_.Resolve(api_, reference, context_).value_or("an error");
  }

  ScriptedApi server_;
  FakeClock clock_{absl::FromUnixSeconds(1'000'000)};
  ContreeApi api_ = ApiAt(server_);
  CallContext context_;
  ImageResolver resolver_{&clock_};
};

TEST_F(ImageResolverTest, ATagIsAskedForOnceInSeconds) {
  EXPECT_EQ(Resolve("tag:a"), kOne);
  EXPECT_EQ(Resolve("a"), kOne);
  EXPECT_EQ(server_.Count(kResolve), 1);
  EXPECT_EQ(Resolve("tag:b"), kOne);
  EXPECT_EQ(server_.Count(kResolve), 2);
}

TEST_F(ImageResolverTest, ATagThatMovedIsSeenAfterSeconds) {
  EXPECT_EQ(Resolve(), kOne);
  PointAt(server_, kTwo);
  clock_.Sleep(absl::Seconds(4), {});
  EXPECT_EQ(Resolve(), kOne);
  clock_.Sleep(absl::Seconds(1), {});
  EXPECT_EQ(Resolve(), kTwo);
}

TEST_F(ImageResolverTest, WhatIsForgottenIsAskedForAtOnce) {
  EXPECT_EQ(Resolve(), kOne);
  PointAt(server_, kTwo);
  resolver_.Forget(server_.url(), "bob");
  EXPECT_EQ(Resolve(), kOne);
  resolver_.Forget(server_.url(), "alice");
  EXPECT_EQ(Resolve(), kTwo);
}

TEST_F(ImageResolverTest, AnAnswerFromBeforeTheForgettingIsNotRemembered) {
  server_.On(kResolve, [&](HttpExchange& exchange) {
    // The tag moves while this answer is on its way.
    resolver_.Forget(server_.url(), "alice");
    PointAt(server_, kTwo);
    exchange.SetHeader("Location", absl::StrCat(kOne, "/"));
    exchange.Respond(302);
  });
  EXPECT_EQ(Resolve(), kOne);
  EXPECT_EQ(Resolve(), kTwo);
}

TEST_F(ImageResolverTest, NotFoundIsNotRemembered) {
  server_.On(kResolve, 404, R"({"error":"no such tag"})");
  EXPECT_THAT(resolver_.Resolve(api_, "tag:a", context_),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no image has the tag a")));
  PointAt(server_, kOne);
  EXPECT_EQ(Resolve(), kOne);
}

TEST_F(ImageResolverTest, AnotherTenantAndAnotherBaseUrlShareNothing) {
  EXPECT_EQ(Resolve(), kOne);
  context_.tenant = "bob";
  PointAt(server_, kTwo);
  EXPECT_EQ(Resolve(), kTwo);
  context_.tenant = "alice";
  ScriptedApi elsewhere;
  PointAt(elsewhere, kTwo);
  EXPECT_EQ(resolver_.Resolve(ApiAt(elsewhere), "tag:a", context_).value_or("an error"), kTwo);
  EXPECT_EQ(Resolve(), kOne);
}

TEST_F(ImageResolverTest, WhoChangesWhatATagNamesAsksNow) {
  EXPECT_EQ(Resolve(), kOne);
  PointAt(server_, kTwo);
  EXPECT_EQ(resolver_.ResolveNow(api_, "tag:a", context_).value_or("an error"), kTwo);
  EXPECT_EQ(Resolve(kOne), kOne);
}

}  // namespace
}  // namespace contree
