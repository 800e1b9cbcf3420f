#include "contree-service/operations/followed_operation.h"

#include <string>

#include "common/testing/status_matchers.h"

namespace contree {
namespace {

using Step = FollowedOperation::Step;

constexpr size_t kLogBytes = 4096;

v1::OperationEvent Output(int64_t id, const std::string& data) {
  v1::OperationEvent event;
  event.set_id(id);
  event.mutable_output()->set_data(data);
  return event;
}

v1::OperationEvent Completed(int64_t id) {
  v1::OperationEvent event;
  event.set_id(id);
  event.mutable_completed()->set_id("o");
  return event;
}

TEST(FollowedOperationTest, EachReaderHasItsOwnPlace) {
  FollowedOperation operation("t", "o", kLogBytes);
  operation.Add(Output(0, "a"));
  operation.Add(Output(1, "b"));
  uint64_t first = 0;
  uint64_t second = 0;
  EXPECT_EQ(operation.Next(&first).event->id(), 0);
  EXPECT_EQ(operation.Next(&first).event->id(), 1);
  EXPECT_EQ(operation.Next(&first).kind, Step::kNothingYet);
  EXPECT_EQ(operation.Next(&second).event->id(), 0);
  EXPECT_EQ(operation.Final().kind, Step::kNothingYet);
  operation.Add(Completed(2));
  operation.End(absl::OkStatus());
  EXPECT_TRUE(operation.Next(&first).event->has_completed());
  EXPECT_EQ(operation.Next(&first).kind, Step::kEnded);
  EXPECT_TRUE(operation.Final().event->has_completed());
}

TEST(FollowedOperationTest, AnErrorEndsItForEveryReader) {
  FollowedOperation operation("t", "o", kLogBytes);
  operation.End(absl::NotFoundError("no such operation"));
  uint64_t cursor = 0;
  EXPECT_THAT(operation.Next(&cursor).status,
              StatusIs(absl::StatusCode::kNotFound, "no such operation"));
  EXPECT_THAT(operation.Final().status, StatusIs(absl::StatusCode::kNotFound, "no such operation"));
  EXPECT_FALSE(operation.Join(
      1, [] {}, false));
}

TEST(FollowedOperationTest, TheLogIsBoundedByItsOldestOutputAndKeepsTheRest) {
  FollowedOperation operation("t", "o", kLogBytes);
  v1::OperationEvent started;
  started.set_id(0);
  started.mutable_process_started()->set_command("x");
  operation.Add(started);
  for (int i = 1; i <= 1000; ++i) operation.Add(Output(i, std::string(100, 'x')));
  EXPECT_LE(operation.log_bytes(), kLogBytes);
  uint64_t cursor = 0;
  EXPECT_TRUE(operation.Next(&cursor).event->has_process_started());
  int64_t last = 0;
  int count = 0;
  for (Step step = operation.Next(&cursor); step.kind == Step::kEvent;
       step = operation.Next(&cursor)) {
    EXPECT_GT(step.event->id(), last);
    last = step.event->id();
    ++count;
  }
  EXPECT_EQ(last, 1000);
  EXPECT_GT(count, 5);
  // One event that is larger than the whole log still reaches whoever reads.
  operation.Add(Output(1001, std::string(2 * kLogBytes, 'y')));
  EXPECT_EQ(operation.Next(&cursor).event->id(), 1001);
}

TEST(FollowedOperationTest, TellsWatchersWhatTheyWantToKnow) {
  FollowedOperation operation("t", "o", kLogBytes);
  int every = 0;
  int end = 0;
  ASSERT_TRUE(operation.Join(
      1, [&] { ++every; }, /*only_the_end=*/false));
  ASSERT_TRUE(operation.Join(
      2, [&] { ++end; }, /*only_the_end=*/true));
  operation.Add(Output(0, "a"));
  operation.Add(Completed(1));
  EXPECT_EQ(every, 2);
  EXPECT_EQ(end, 0);
  operation.End(absl::OkStatus());
  EXPECT_EQ(every, 3);
  EXPECT_EQ(end, 1);
}

TEST(FollowedOperationTest, TheLastToLeaveEndsTheFollowing) {
  FollowedOperation operation("t", "o", kLogBytes);
  ASSERT_TRUE(operation.Join(
      1, [] {}, false));
  ASSERT_TRUE(operation.Join(
      2, [] {}, false));
  operation.Leave(1);
  EXPECT_FALSE(operation.stop_token().stop_requested());
  operation.Leave(2);
  EXPECT_TRUE(operation.stop_token().stop_requested());
  EXPECT_FALSE(operation.Join(
      3, [] {}, false));
  EXPECT_FALSE(operation.Keep());
}

TEST(FollowedOperationTest, WhatIsKeptOutlivesItsWatchers) {
  FollowedOperation operation("t", "o", kLogBytes);
  ASSERT_TRUE(operation.Keep());
  ASSERT_TRUE(operation.Join(
      1, [] {}, false));
  operation.Leave(1);
  EXPECT_FALSE(operation.stop_token().stop_requested());
}

}  // namespace
}  // namespace contree
