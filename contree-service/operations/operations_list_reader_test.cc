#include "contree-service/operations/operations_list_reader.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/http/httplib_http_client.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "common/time/fake_clock.h"
#include "contree-service/testing/scripted_api.h"

namespace contree {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1'790'000'000);
const StoreScope kScope = {.tenant = kLocalTenant, .platform = "p"};

// A platform with operations 0 to count_ - 1, one a minute, each making image iN from i(N-1). Lists
// newest first.
class OperationsListReaderTest : public testing::Test {
 protected:
  OperationsListReaderTest() {
    server_.On("GET /v1/operations", [this](HttpExchange& exchange) { List(exchange); });
    auto store = ContreeStore::Open(temp_.File("contree.db"), kStart);
    EXPECT_OK(store);
    store_ = *std::move(store);
    auto http = HttplibHttpClient::Create({.base_url = server_.url()});
    EXPECT_OK(http);
    api_ = std::make_unique<ContreeApi>(
        *std::move(http),
        ApiEndpoint{.base_url = server_.url(), .token = "", .project = "", .platform = "p"},
        &clock_, RetryPolicy{.max_attempts = 1, .backoff = {}});
    context_.deadline = absl::InfiniteFuture();
  }

  static absl::Time CreatedAt(int number) { return kStart + absl::Minutes(number); }

  void List(HttpExchange& exchange) {
    const auto bound = [&](const char* name, absl::Time otherwise) {
      absl::Time time;
      std::string error;
      const std::string text = exchange.Query(name).value_or("");
      return absl::ParseTime(absl::RFC3339_full, text, &time, &error) ? time : otherwise;
    };
    const auto number = [&](const char* name) {
      int value = 0;
      return absl::SimpleAtoi(exchange.Query(name).value_or("0"), &value) ? value : 0;
    };
    const absl::Time since = bound("since", absl::InfinitePast());
    const absl::Time until = bound("until", absl::InfiniteFuture());
    int skip = number("offset");
    int left = number("limit");
    std::string list;
    for (int i = count_ - 1; i >= 0 && left > 0; --i) {
      if (CreatedAt(i) < since || CreatedAt(i) > until || skip-- > 0) continue;
      --left;
      absl::StrAppend(&list, list.empty() ? "" : ",", R"({"uuid":"o)", 1000 + i,
                      R"(","kind":"instance","status":")", i == running_ ? "EXECUTING" : "SUCCESS",
                      R"(","created_at":")",
                      absl::FormatTime(absl::RFC3339_full, CreatedAt(i), absl::UTCTimeZone()),
                      R"(","image_uuid":"i)", i, R"(","result_image_uuid":)",
                      i == running_ ? "null" : absl::StrCat("\"i", i + 1, "\""), "}");
    }
    exchange.Respond(200, "application/json", absl::StrCat("[", list, "]"));
  }

  int Known() {
    int known = 0;
    for (int i = 1; i <= count_; ++i)
      known += (*store_->FindOrigin(kScope, absl::StrCat("i", i))).has_value() ? 1 : 0;
    return known;
  }
  int Asked() { return server_.Count("GET /v1/operations"); }

  int count_ = 0;  // changed only while nobody asks
  int running_ = -1;
  TempDirectory temp_;
  ScriptedApi server_;
  FakeClock clock_{CreatedAt(100)};
  std::unique_ptr<ContreeStore> store_;
  std::unique_ptr<ContreeApi> api_;
  CallContext context_;
};

TEST_F(OperationsListReaderTest, ReadsAllOnceAndThenOnlyWhatIsNew) {
  count_ = 25;
  OperationsListReader reader(store_.get(), &clock_, /*page_size=*/10);
  ASSERT_OK(reader.Read(*api_, context_, absl::InfiniteFuture()));
  EXPECT_EQ(Known(), 25);
  const int before = Asked();
  count_ = 28;
  ASSERT_OK(reader.Read(*api_, context_, absl::InfiniteFuture()));
  EXPECT_EQ(Known(), 28);
  EXPECT_EQ(Asked() - before, 1);
}

TEST_F(OperationsListReaderTest, TheNewestComeFirstAndTheRestWhereItStopped) {
  count_ = 35;
  {
    OperationsListReader reader(store_.get(), &clock_, /*page_size=*/10);
    ASSERT_OK(reader.Read(*api_, context_, absl::InfinitePast()));
    EXPECT_EQ(Known(), 10);
    EXPECT_TRUE((*store_->FindOrigin(kScope, "i35")).has_value());
  }
  count_ = 37;
  OperationsListReader reader(store_.get(), &clock_, /*page_size=*/10);
  ASSERT_OK(reader.Read(*api_, context_, absl::InfinitePast()));
  EXPECT_EQ(Known(), 12);
  ASSERT_OK(reader.Read(*api_, context_, absl::InfiniteFuture()));
  EXPECT_EQ(Known(), 37);
}

TEST_F(OperationsListReaderTest, MoreThanAPageOfNewOnesLeavesNoGap) {
  count_ = 5;
  OperationsListReader reader(store_.get(), &clock_, /*page_size=*/10);
  ASSERT_OK(reader.Read(*api_, context_, absl::InfiniteFuture()));
  count_ = 60;
  ASSERT_OK(reader.Read(*api_, context_, absl::InfiniteFuture()));
  EXPECT_EQ(Known(), 60);
}

TEST_F(OperationsListReaderTest, WhatStillRunsIsReadAgain) {
  count_ = 20;
  running_ = 3;
  OperationsListReader reader(store_.get(), &clock_, /*page_size=*/10);
  ASSERT_OK(reader.Read(*api_, context_, absl::InfiniteFuture()));
  EXPECT_EQ(Known(), 19);
  running_ = -1;
  ASSERT_OK(reader.Read(*api_, context_, absl::InfiniteFuture()));
  EXPECT_EQ(Known(), 20);
}

TEST_F(OperationsListReaderTest, AListThatIgnoresOffsetsDoesNotEndlesslyRepeat) {
  server_.On("GET /v1/operations", 200, R"([{"uuid":"o1"},{"uuid":"o2"}])");
  OperationsListReader reader(store_.get(), &clock_, /*page_size=*/2);
  ASSERT_OK(reader.Read(*api_, context_, absl::InfiniteFuture()));
  EXPECT_LE(Asked(), 4);
}

TEST_F(OperationsListReaderTest, AnErrorKeepsWhatWasRead) {
  count_ = 15;
  OperationsListReader reader(store_.get(), &clock_, /*page_size=*/10);
  server_.On("GET /v1/operations", [this](HttpExchange& exchange) {
    if (exchange.Query("until").has_value()) {
      exchange.Respond(403);
    } else {
      List(exchange);
    }
  });
  EXPECT_THAT(reader.Read(*api_, context_, absl::InfiniteFuture()),
              StatusIs(absl::StatusCode::kPermissionDenied, testing::HasSubstr("operations")));
  EXPECT_EQ(Known(), 10);
}

}  // namespace
}  // namespace contree
