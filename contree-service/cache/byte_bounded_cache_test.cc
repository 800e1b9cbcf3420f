#include "contree-service/cache/byte_bounded_cache.h"

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

std::shared_ptr<const std::string> Text(const std::string& text) {
  return std::make_shared<const std::string>(text);
}

TEST(ByteBoundedCacheTest, TheLeastRecentlyUsedGoesFirst) {
  ByteBoundedCache<std::string> cache(3500);
  cache.Put("a", Text("1"), 1000);
  cache.Put("b", Text("2"), 1000);
  ASSERT_NE(cache.Find("a"), nullptr);
  cache.Put("c", Text("3"), 1000);
  cache.Put("d", Text("4"), 1000);
  EXPECT_EQ(cache.Find("b"), nullptr);
  ASSERT_NE(cache.Find("a"), nullptr);
  EXPECT_EQ(*cache.Find("a"), "1");
  EXPECT_EQ(*cache.Find("d"), "4");
}

TEST(ByteBoundedCacheTest, ItsBytesStayBelowTheBoundHoweverManyArePut) {
  ByteBoundedCache<std::string> cache(100'000);
  for (int i = 0; i < 10'000; ++i) cache.Put(absl::StrCat("key ", i), Text(""), 0);
  EXPECT_LE(cache.bytes(), 100'000u);
  EXPECT_GT(cache.bytes(), 90'000u);
}

TEST(ByteBoundedCacheTest, WhatIsTooLargePushesNothingOut) {
  ByteBoundedCache<std::string> cache(1000);
  cache.Put("a", Text("1"), 100);
  cache.Put("huge", Text("2"), 1001);
  EXPECT_EQ(cache.Find("huge"), nullptr);
  EXPECT_NE(cache.Find("a"), nullptr);
}

TEST(ByteBoundedCacheTest, AValueOutlivesItsPlace) {
  ByteBoundedCache<std::string> cache(1000);
  cache.Put("a", Text("1"), 700);
  const auto held = cache.Find("a");
  cache.Put("b", Text("2"), 700);
  EXPECT_EQ(cache.Find("a"), nullptr);
  EXPECT_EQ(*held, "1");
}

}  // namespace
}  // namespace contree
