#include "local-backend/images/image_readers.h"

#include <memory>
#include <string>
#include <vector>

#include "common/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "local-backend/testing/namespace_test_main.h"

namespace contree {
namespace {

TEST(ImageReadersTest, OneIsOpenedOnceUntilAllAreForgotten) {
  ImageReaders readers(NewTestDirectory());
  const std::vector<std::string> layers = {NewTestDirectory(), NewTestDirectory()};
  ASSERT_OK_AND_ASSIGN(const auto first, readers.Open(layers, nullptr));
  ASSERT_OK_AND_ASSIGN(const auto second, readers.Open(layers, nullptr));
  EXPECT_EQ(first, second);
  readers.Clear();
  ASSERT_OK_AND_ASSIGN(const auto third, readers.Open(layers, nullptr));
  EXPECT_NE(first, third);
  EXPECT_OK(first->List("/"));  // whoever has it may go on
}

TEST(ImageReadersTest, ALeaseIsKeptAsLongAsTheReader) {
  ImageReaders readers(NewTestDirectory());
  const auto lease = std::make_shared<const int>(0);
  ASSERT_OK(readers.Open({NewTestDirectory()}, lease));
  EXPECT_EQ(lease.use_count(), 2);
  readers.Clear();
  EXPECT_EQ(lease.use_count(), 1);
}

TEST(ImageReadersTest, TheOldestMakesRoom) {
  ImageReaders readers(NewTestDirectory());
  const auto lease = std::make_shared<const int>(0);
  for (int i = 0; i < 50; ++i) ASSERT_OK(readers.Open({NewTestDirectory()}, lease));
  EXPECT_LE(lease.use_count(), 1 + 8);
}

}  // namespace
}  // namespace contree
