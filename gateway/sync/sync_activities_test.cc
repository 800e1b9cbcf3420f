#include "gateway/sync/sync_activities.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

const absl::Time kNow = absl::UnixEpoch() + absl::Hours(1);

CallContext Of(const std::string& tenant) {
  CallContext context;
  context.tenant = tenant;
  context.principal = absl::StrCat("agent of ", tenant);
  return context;
}

TEST(SyncActivitiesTest, TellsHowASyncGoesAndHowItEnded) {
  SyncActivities activities;
  const auto ongoing = activities.Begin(Of("t"), "/src", "/app", kNow);
  ongoing->Report({.files_to_hash = 3, .files_hashed = 1});
  SyncActivity seen = activities.List("t").at(0);
  EXPECT_EQ(seen.source, "/src");
  EXPECT_EQ(seen.destination, "/app");
  EXPECT_EQ(seen.principal, "agent of t");
  EXPECT_EQ(seen.progress.files_hashed, 1);
  EXPECT_EQ(seen.ended, absl::InfiniteFuture());
  sync::v1::SyncResult result;
  result.set_directory_state_id("ds_1");
  ongoing->End(result, kNow + absl::Seconds(1));
  seen = activities.List("t").at(0);
  EXPECT_EQ(seen.ended, kNow + absl::Seconds(1));
  EXPECT_TRUE(seen.status.ok());
  EXPECT_EQ(seen.result.directory_state_id(), "ds_1");
}

TEST(SyncActivitiesTest, OneThatIsDroppedWasGivenUp) {
  SyncActivities activities;
  activities.Begin(Of("t"), "/src", "/app", kNow).reset();
  EXPECT_TRUE(absl::IsCancelled(activities.List("t").at(0).status));
}

TEST(SyncActivitiesTest, TenantsSeeTheirOwnOnly) {
  SyncActivities activities;
  const auto a = activities.Begin(Of("a"), "/a", "/app", kNow);
  const auto b = activities.Begin(Of("b"), "/b", "/app", kNow);
  ASSERT_EQ(activities.List("a").size(), 1u);
  EXPECT_EQ(activities.List("a").at(0).source, "/a");
  EXPECT_TRUE(activities.List("c").empty());
}

TEST(SyncActivitiesTest, KeepsTheNewestOfEachTenantAndTheLastTenants) {
  SyncActivities activities;
  for (size_t i = 0; i < SyncActivities::kMaxPerTenant + 10; ++i) {
    activities.Begin(Of("t"), absl::StrCat("/", i), "/app", kNow).reset();
  }
  const auto list = activities.List("t");
  ASSERT_EQ(list.size(), SyncActivities::kMaxPerTenant);
  EXPECT_EQ(list.front().source, absl::StrCat("/", SyncActivities::kMaxPerTenant + 9));
  // One that goes on may be reported to although it is not kept any more.
  const auto ongoing = activities.Begin(Of("old"), "/", "/app", kNow);
  for (size_t i = 0; i < SyncActivities::kMaxTenants; ++i) {
    activities.Begin(Of(absl::StrCat("tenant ", i)), "/", "/app", kNow).reset();
  }
  EXPECT_TRUE(activities.List("old").empty());
  ongoing->Report({.files_hashed = 1});
}

}  // namespace
}  // namespace contree::gateway
