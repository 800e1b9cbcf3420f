#include "local-backend/upkeep/disk_budget.h"

#include <sys/statvfs.h>

#include <filesystem>
#include <fstream>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

using testing::AllOf;
using testing::HasSubstr;

void Write(const std::string& path, size_t bytes) {
  std::ofstream(path) << std::string(bytes, 'x');
}

TEST(DiskBudgetTest, WithoutBoundsTheDiskIsTheBound) {
  const TempDirectory directory;
  DiskBudget budget({.directory = directory.path()});
  EXPECT_OK(budget.CheckRoom());
  EXPECT_OK(budget.CheckRoom(1 << 20));
  EXPECT_THAT(budget.CheckRoom(int64_t{1} << 60),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("are free")));
}

TEST(DiskBudgetTest, QuotaRefusesWhatDoesNotFit) {
  const TempDirectory directory;
  Write(directory.File("a"), 3 << 20);
  DiskBudget budget({.directory = directory.path(), .quota = 4 << 20});
  EXPECT_OK(budget.CheckRoom());
  EXPECT_OK(budget.CheckRoom(900'000));
  EXPECT_THAT(budget.CheckRoom(2 << 20),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       AllOf(HasSubstr("images, files and runs take 3.0 MiB of the 4.0 MiB"),
                             HasSubstr("take the tags off"))));
}

TEST(DiskBudgetTest, ReserveRefusesBeforeTheDiskIsFull) {
  const TempDirectory directory;
  struct statvfs disk;
  ASSERT_EQ(statvfs(directory.path().c_str(), &disk), 0);
  const auto free = static_cast<int64_t>(disk.f_bavail) * static_cast<int64_t>(disk.f_frsize);
  DiskBudget enough({.directory = directory.path(), .reserve = free / 2});
  EXPECT_OK(enough.CheckRoom());
  DiskBudget budget({.directory = directory.path(), .reserve = free * 2});
  EXPECT_THAT(budget.CheckRoom(),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       AllOf(HasSubstr("nearly full"), HasSubstr("--disk-reserve keeps"))));
}

TEST(DiskBudgetTest, MakesRoomBeforeItRefuses) {
  const TempDirectory directory;
  Write(directory.File("a"), 3 << 20);
  DiskBudget budget({.directory = directory.path(), .quota = 2 << 20});
  int calls = 0;
  budget.OnShortage([&] {
    ++calls;
    std::filesystem::remove(directory.File("a"));
  });
  EXPECT_TRUE(budget.IsNearlyShort());
  EXPECT_OK(budget.CheckRoom());
  EXPECT_EQ(calls, 1);
  EXPECT_FALSE(budget.IsNearlyShort());
}

TEST(DiskBudgetTest, StopsTheOneThatTakesMost) {
  const TempDirectory directory;
  for (const char* name : {"small", "large"})
    std::filesystem::create_directory(directory.File(name));
  DiskBudget budget({.directory = directory.path(), .quota = 8 << 20});
  absl::Notification small_stopped;
  absl::Notification large_stopped;
  const auto small = budget.Begin(directory.File("small"), [&] { small_stopped.Notify(); });
  auto large = budget.Begin(directory.File("large"), [&] { large_stopped.Notify(); });
  Write(directory.File("small/f"), 2 << 20);
  EXPECT_OK(large->status());
  Write(directory.File("large/f"), 7 << 20);
  ASSERT_TRUE(large_stopped.WaitForNotificationWithTimeout(absl::Seconds(30)));
  EXPECT_THAT(large->status(), StatusIs(absl::StatusCode::kResourceExhausted,
                                        AllOf(HasSubstr("of the 8.0 MiB that --disk-quota allows"),
                                              HasSubstr("it had written 7.0 MiB"))));
  std::filesystem::remove_all(directory.File("large"));
  large.reset();
  EXPECT_OK(budget.CheckRoom());
  EXPECT_OK(small->status());
  EXPECT_FALSE(small_stopped.HasBeenNotified());
}

TEST(BytesInWordsTest, ChoosesTheUnit) {
  EXPECT_EQ(BytesInWords(0), "0 bytes");
  EXPECT_EQ(BytesInWords(1023), "1023 bytes");
  EXPECT_EQ(BytesInWords(1536), "1.5 KiB");
  EXPECT_EQ(BytesInWords(int64_t{20} << 30), "20.0 GiB");
}

}  // namespace
}  // namespace contree
