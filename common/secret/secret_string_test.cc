#include "common/secret/secret_string.h"

#include <utility>

#include "gtest/gtest.h"

namespace contree {
namespace {

TEST(SecretStringTest, WipesWhatItTookOver) {
  std::string text = "0123456789abcdef0123456789abcdef";  // on the heap
  const char* const bytes = text.data();
  {
    const SecretString secret(std::move(text));
    EXPECT_EQ(secret.view(), "0123456789abcdef0123456789abcdef");
    EXPECT_EQ(secret.view().data(), bytes);  // moved, not copied
  }
  std::string short_text = "hunter2";  // inside the object
  const SecretString secret(std::move(short_text));
  EXPECT_EQ(std::string(short_text.data(), 7), std::string(7, '\0'));  // NOLINT: that is the test
  EXPECT_EQ(secret.view(), "hunter2");
}

TEST(SecretStringTest, AMoveLeavesNothingBehind) {
  SecretString from(absl::string_view("hunter2"));
  const SecretString to = std::move(from);
  EXPECT_EQ(to.view(), "hunter2");
  EXPECT_TRUE(from.empty());  // NOLINT: that is the test
}

TEST(SecretStringTest, WipeOverwritesAllThatWasReserved) {
  std::string text = "0123456789abcdef0123456789abcdef";
  const char* const bytes = text.data();
  text.resize(4);  // the rest is still behind it
  Wipe(text);
  EXPECT_TRUE(text.empty());
  EXPECT_EQ(std::string(bytes, 32), std::string(32, '\0'));  // NOLINT: they are still there
}

}  // namespace
}  // namespace contree
