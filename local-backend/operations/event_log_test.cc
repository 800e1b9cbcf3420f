#include "local-backend/operations/event_log.h"

#include <nlohmann/json.hpp>
#include <thread>

#include "gtest/gtest.h"

namespace contree {
namespace {

TEST(EventLogTest, NumbersFromZeroAndReadsFromAnyPoint) {
  EventLog log;
  log.Append(0, "init", {{"a", 1}});
  log.Append(1, "stdout", {{"b", 2}});
  const EventLog::Page all = log.Read(0, absl::ZeroDuration());
  ASSERT_EQ(all.events.size(), 2);
  EXPECT_EQ(all.events[0].id, 0);
  EXPECT_EQ(all.events[1].id, 1);
  EXPECT_EQ(all.events[1].spid, 1);
  EXPECT_FALSE(all.closed);
  EXPECT_EQ(log.Read(1, absl::ZeroDuration()).events.size(), 1);
  EXPECT_EQ(log.Read(7, absl::ZeroDuration()).events.size(), 0);
}

TEST(EventLogTest, ReaderIsWokenByTheNextEvent) {
  EventLog log;
  EventLog::Page page;
  std::thread reader([&] { page = log.Read(0, absl::InfiniteDuration()); });
  log.Append(0, "init", {});
  reader.join();
  ASSERT_EQ(page.events.size(), 1);
  EXPECT_EQ(page.events[0].type, "init");
}

TEST(EventLogTest, ReadsInBoundedPieces) {
  EventLog log;
  for (int i = 0; i < 3; ++i) log.Append(1, "stdout", {{"value", std::string(100, 'x')}});
  log.Close(log.Prepare(0, "completion", {}));
  const EventLog::Page one = log.Read(0, absl::ZeroDuration(), 1);
  EXPECT_EQ(one.events.size(), 1);
  EXPECT_FALSE(one.closed);
  EXPECT_EQ(log.Read(1, absl::ZeroDuration(), 250).events.size(), 2);
  const EventLog::Page rest = log.Read(3, absl::ZeroDuration(), 1);
  EXPECT_EQ(rest.events.size(), 1);
  EXPECT_TRUE(rest.closed);
}

TEST(EventLogTest, ListenersHearOfEachEventUntilTheyAreGone) {
  EventLog log;
  int heard = 0;
  const EventLog::ListenerId id = log.Listen([&] { ++heard; });
  log.Append(0, "init", {});
  EXPECT_EQ(heard, 1);
  log.Unlisten(id);
  log.Close(log.Prepare(0, "completion", {}));
  EXPECT_EQ(heard, 1);
}

TEST(EventLogTest, NothingComesBehindTheLastEvent) {
  EventLog log;
  const Event last = log.Prepare(0, "completion", {});
  log.Append(1, "stdin", {});
  log.Close(last);
  EXPECT_EQ(log.Read(0, absl::ZeroDuration()).events.size(), 1);
}

TEST(EventLogTest, ReaderIsWokenByTheEnd) {
  EventLog log;
  log.Close(log.Prepare(0, "completion", {}));
  EXPECT_TRUE(log.Read(0, absl::InfiniteDuration()).closed);
  EXPECT_TRUE(log.Read(5, absl::InfiniteDuration()).closed);
}

TEST(EventLogTest, SavedLogIsTheSameLog) {
  EventLog log;
  log.Append(1, "stdout", {{"value", "line\nline\xff"}});
  const Event last = log.Prepare(0, "completion", {{"status", "SUCCESS"}});
  const std::string saved = log.SaveWith(last);
  log.Close(last);
  const EventLog loaded(saved);
  const EventLog::Page before = log.Read(0, absl::ZeroDuration());
  const EventLog::Page after = loaded.Read(0, absl::InfiniteDuration());
  EXPECT_TRUE(after.closed);
  ASSERT_EQ(after.events.size(), before.events.size());
  for (size_t i = 0; i < after.events.size(); ++i) {
    EXPECT_EQ(after.events[i].id, before.events[i].id);
    EXPECT_EQ(after.events[i].spid, before.events[i].spid);
    EXPECT_EQ(after.events[i].type, before.events[i].type);
    EXPECT_EQ(after.events[i].json, before.events[i].json);
  }
}

TEST(FormatApiTimeTest, IsWhatPythonReads) {
  EXPECT_EQ(FormatApiTime(absl::FromUnixMicros(1'700'000'000'000'001)),
            "2023-11-14T22:13:20.000001+00:00");
}

}  // namespace
}  // namespace contree
