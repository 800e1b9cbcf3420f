#include "local-backend/operations/fair_queue.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

TEST(FairQueueTest, OwnersTakeTurns) {
  FairQueue<std::string> queue;
  for (const char* item : {"a1", "a2", "a3"}) queue.Push("a", item);
  for (const char* item : {"b1", "b2"}) queue.Push("b", item);
  queue.Push("c", "c1");
  std::vector<std::string> order;
  while (const auto item = queue.Pop()) {
    order.push_back(*item);
    queue.Done(item->substr(0, 1));  // one at a time
  }
  EXPECT_THAT(order, ElementsAre("a1", "b1", "c1", "a2", "b2", "a3"));
}

TEST(FairQueueTest, WhoHasTheLeastRunningComesNext) {
  FairQueue<std::string> queue;
  for (const char* item : {"a1", "a2", "a3", "a4"}) queue.Push("a", item);
  EXPECT_EQ(queue.Pop(), "a1");
  EXPECT_EQ(queue.Pop(), "a2");
  queue.Push("b", "b1");
  queue.Push("b", "b2");
  // Two of a's run: both of b's come before its next.
  EXPECT_EQ(queue.Pop(), "b1");
  EXPECT_EQ(queue.Pop(), "b2");
  queue.Done("b");
  queue.Push("b", "b3");
  EXPECT_EQ(queue.Pop(), "b3");
  EXPECT_EQ(queue.Pop(), "a3");
}

TEST(FairQueueTest, CountsAndRemoves) {
  FairQueue<int> queue;
  queue.Push("a", 1);
  queue.Push("a", 2);
  queue.Push("b", 3);
  EXPECT_EQ(queue.size(), 3);
  EXPECT_EQ(queue.size("a"), 2);
  EXPECT_EQ(queue.size("nobody"), 0);
  EXPECT_TRUE(queue.Remove("b", 3));
  EXPECT_FALSE(queue.Remove("b", 3));
  EXPECT_FALSE(queue.Remove("a", 3));
  EXPECT_TRUE(queue.Remove("a", 1));
  EXPECT_EQ(queue.Pop(), 2);
  EXPECT_EQ(queue.Pop(), std::nullopt);
  queue.Push("a", 4);
  queue.Push("b", 5);
  EXPECT_THAT(queue.Clear(), UnorderedElementsAre(4, 5));
  EXPECT_EQ(queue.size(), 0);
  EXPECT_EQ(queue.Pop(), std::nullopt);
}

}  // namespace
}  // namespace contree
