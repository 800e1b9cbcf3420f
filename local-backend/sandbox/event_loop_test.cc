#include "local-backend/sandbox/event_loop.h"

#include <sys/epoll.h>
#include <unistd.h>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

TEST(EventLoopTest, PostedTasksRunInOrder) {
  ASSERT_OK_AND_ASSIGN(const auto loop, EventLoop::Start());
  std::vector<int> order;
  absl::Notification done;
  for (int i = 0; i < 3; ++i) loop->Post([&, i] { order.push_back(i); });
  loop->Post([&] {
    // One of the loop's own comes behind what is there.
    loop->Post([&] { done.Notify(); });
    order.push_back(3);
  });
  done.WaitForNotification();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3}));
}

TEST(EventLoopTest, WatchedDescriptorCallsUntilItIsUnwatched) {
  ASSERT_OK_AND_ASSIGN(const auto loop, EventLoop::Start());
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const UniqueFd read_end(ends[0]);
  const UniqueFd write_end(ends[1]);
  absl::Notification seen_twice;
  absl::Notification quiet;
  int calls = 0;
  loop->Post([&] {
    auto id = std::make_shared<EventLoop::WatchId>();
    const auto watch = loop->Watch(read_end.get(), EPOLLIN, [&, id] {
      if (++calls < 2) return;  // nothing is read: it stays ready
      loop->Unwatch(*id);
      seen_twice.Notify();
    });
    ASSERT_OK(watch);
    *id = *watch;
  });
  ASSERT_EQ(write(write_end.get(), "x", 1), 1);
  seen_twice.WaitForNotification();
  loop->Post([&] { loop->CallAt(absl::Now() + absl::Milliseconds(5), [&] { quiet.Notify(); }); });
  quiet.WaitForNotification();
  EXPECT_EQ(calls, 2);
}

TEST(EventLoopTest, TimersRunInTheirOrderAndNotWhenCancelled) {
  ASSERT_OK_AND_ASSIGN(const auto loop, EventLoop::Start());
  std::vector<int> order;
  absl::Notification done;
  loop->Post([&] {
    const absl::Time now = absl::Now();
    loop->CallAt(now + absl::Milliseconds(4), [&] { done.Notify(); });
    loop->CallAt(now + absl::Milliseconds(2), [&] { order.push_back(2); });
    const auto cancelled = loop->CallAt(now + absl::Milliseconds(3), [&] { order.push_back(3); });
    loop->CallAt(now, [&, cancelled] {
      order.push_back(0);
      loop->CancelTimer(cancelled);
    });
  });
  done.WaitForNotification();
  EXPECT_EQ(order, (std::vector<int>{0, 2}));
}

TEST(EventLoopTest, DescriptorThatCannotBeWatchedIsAnError) {
  ASSERT_OK_AND_ASSIGN(const auto loop, EventLoop::Start());
  absl::Notification done;
  loop->Post([&] {
    EXPECT_THAT(loop->Watch(-1, EPOLLIN, [] {}).status(),
                StatusIs(absl::StatusCode::kResourceExhausted, testing::HasSubstr("descriptor")));
    done.Notify();
  });
  done.WaitForNotification();
}

}  // namespace
}  // namespace contree
