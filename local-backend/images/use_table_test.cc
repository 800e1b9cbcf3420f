#include "local-backend/images/use_table.h"

#include <optional>

#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

using testing::_;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(UseTableTest, WhatIsUsedIsNotRemoved) {
  UseTable table;
  ASSERT_OK_AND_ASSIGN(Lease lease, table.Use({"a", "b"}, table.generation()));
  EXPECT_THAT(table.BeginRemoval({"a", "b", "c"}).names(), ElementsAre("c"));
  Lease copy = lease;
  lease.reset();
  EXPECT_THAT(table.BeginRemoval({"a", "b"}).names(), IsEmpty());
  copy.reset();
  EXPECT_THAT(table.BeginRemoval({"a", "b"}).names(), ElementsAre("a", "b"));
}

TEST(UseTableTest, TwoUsersAreTwo) {
  UseTable table;
  ASSERT_OK_AND_ASSIGN(Lease first, table.Use({"a"}, table.generation()));
  Lease second = table.Hold({"a"});
  first.reset();
  EXPECT_THAT(table.BeginRemoval({"a"}).names(), IsEmpty());
  second.reset();
  EXPECT_THAT(table.BeginRemoval({"a"}).names(), ElementsAre("a"));
}

TEST(UseTableTest, ReaderThatARemovalOvertookReadsAgain) {
  UseTable table;
  const int64_t before = table.generation();
  std::optional<UseTable::Removal> removal(table.BeginRemoval({"a"}));
  EXPECT_THAT(table.Use({"a"}, before), StatusIs(absl::StatusCode::kAborted, _));
  const int64_t during = table.generation();
  EXPECT_THAT(table.Use({"a"}, during), StatusIs(absl::StatusCode::kNotFound, _));
  EXPECT_OK(table.Use({"b"}, during));
  removal.reset();
  // What it read may have been there then.
  EXPECT_THAT(table.Use({"a"}, during), StatusIs(absl::StatusCode::kAborted, _));
  EXPECT_OK(table.Use({"a"}, table.generation()));
}

TEST(UseTableTest, LeaseMayOutliveTheTable) {
  Lease lease;
  {
    UseTable table;
    lease = table.Hold({"a"});
  }
  lease.reset();
}

}  // namespace
}  // namespace contree
