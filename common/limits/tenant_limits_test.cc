#include "common/limits/tenant_limits.h"

#include <fstream>

#include "absl/time/clock.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "common/time/fake_clock.h"

namespace contree {
namespace {

using testing::HasSubstr;

constexpr char kLimits[] = R"({
  "default": {"requests_per_second": 2, "concurrent_operations": 1, "upload_bytes_per_day": 86400},
  "tenants": {"big": {"requests_per_second": 100}}})";

class TenantLimitsTest : public testing::Test {
 protected:
  TenantLimitsTest() : limits_(&clock_) { EXPECT_OK(limits_.Load(kLimits)); }

  FakeClock clock_{absl::FromUnixSeconds(1'000'000)};
  TenantLimits limits_;
};

TEST_F(TenantLimitsTest, ASecondsWorthOfRequestsAtOnceThenEvenly) {
  EXPECT_EQ(limits_.TakeRequest("a"), absl::ZeroDuration());
  EXPECT_EQ(limits_.TakeRequest("a"), absl::ZeroDuration());
  EXPECT_EQ(limits_.TakeRequest("a"), absl::Milliseconds(500));
  clock_.Sleep(absl::Milliseconds(500), {});
  EXPECT_EQ(limits_.TakeRequest("a"), absl::ZeroDuration());
  EXPECT_GT(limits_.TakeRequest("a"), absl::ZeroDuration());
}

TEST_F(TenantLimitsTest, OneTenantsExcessIsNotTheOthers) {
  for (int i = 0; i < 1000; ++i) limits_.TakeRequest("a");
  EXPECT_EQ(limits_.TakeRequest("b"), absl::ZeroDuration());
  for (int i = 0; i < 100; ++i) EXPECT_EQ(limits_.TakeRequest("big"), absl::ZeroDuration());
  EXPECT_GT(limits_.TakeRequest("big"), absl::ZeroDuration());
}

TEST_F(TenantLimitsTest, UploadsComeBackWithinADay) {
  EXPECT_OK(limits_.TakeUploadBytes("a", 86'400));
  EXPECT_THAT(limits_.TakeUploadBytes("a", 10),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("try again in 10 s")));
  EXPECT_OK(limits_.TakeUploadBytes("b", 10));
  clock_.Sleep(absl::Seconds(10), {});
  EXPECT_OK(limits_.TakeUploadBytes("a", 10));
  EXPECT_THAT(limits_.TakeUploadBytes("b", 86'401),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("in a day")));
}

TEST_F(TenantLimitsTest, OperationsThatStartAndThatRunCount) {
  int64_t running = 0;
  const auto count = [&running] { return running; };
  {
    ASSERT_OK_AND_ASSIGN(const auto place, limits_.TakeOperation("a", count));
    EXPECT_THAT(limits_.TakeOperation("a", count).status(),
                StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("1 operations")));
    EXPECT_OK(limits_.TakeOperation("b", count).status());
  }
  EXPECT_OK(limits_.TakeOperation("a", count).status());
  running = 1;
  EXPECT_THAT(limits_.TakeOperation("a", count).status(),
              StatusIs(absl::StatusCode::kResourceExhausted, testing::_));
}

TEST_F(TenantLimitsTest, WithoutNumbersThereAreNoLimits) {
  ASSERT_OK(limits_.Load("{}"));
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(limits_.TakeRequest("a"), absl::ZeroDuration());
  EXPECT_OK(limits_.TakeUploadBytes("a", int64_t{1} << 50));
  EXPECT_OK(limits_.TakeOperation("a", []() -> int64_t { return 1'000'000; }).status());
}

TEST_F(TenantLimitsTest, WhatIsWrongChangesNothing) {
  for (const char* wrong : {"", "[]", "{\"default\": 1}", "{\"tenants\": []}", "{\"other\": {}}",
                            "{\"default\": {\"requests_per_second\": 0}}",
                            "{\"default\": {\"requests_per_second\": \"many\"}}",
                            "{\"default\": {\"requests_per_secnd\": 1}}",
                            "{\"default\": {\"concurrent_operations\": 0.5}}"}) {
    EXPECT_THAT(limits_.Load(wrong), StatusIs(absl::StatusCode::kInvalidArgument, testing::_))
        << wrong;
  }
  limits_.TakeRequest("a");
  limits_.TakeRequest("a");
  EXPECT_GT(limits_.TakeRequest("a"), absl::ZeroDuration());
}

TEST(TenantLimitsFileTest, IsReadAgainWhenItChanges) {
  TempDirectory temp;
  const std::string path = temp.File("limits.json");
  std::ofstream(path) << R"({"default": {"concurrent_operations": 1}})";
  RealClock clock;
  ASSERT_OK_AND_ASSIGN(const auto limits, TenantLimits::Open(path, &clock));
  const auto one = []() -> int64_t { return 1; };
  EXPECT_FALSE(limits->TakeOperation("a", one).ok());
  std::ofstream(path) << R"({"default": {"concurrent_operations": 2}})";
  const absl::Time until = absl::Now() + absl::Seconds(20);
  while (!limits->TakeOperation("a", one).ok() && absl::Now() < until)
    absl::SleepFor(absl::Milliseconds(10));
  EXPECT_OK(limits->TakeOperation("a", one).status());
}

}  // namespace
}  // namespace contree
