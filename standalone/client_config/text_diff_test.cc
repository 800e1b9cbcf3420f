#include "standalone/client_config/text_diff.h"

#include "gtest/gtest.h"

namespace contree::standalone {
namespace {

TEST(TextDiffTest, ShowsTheChangeAndALittleAroundIt) {
  EXPECT_EQ(DiffForPeople("a\nb\nc\nd\n", "a\nb\nc\nnew\nd\n"), "  b\n  c\n+ new\n  d\n");
  EXPECT_EQ(DiffForPeople("a\nb\n", "a\n"), "  a\n- b\n");
  EXPECT_EQ(DiffForPeople("", "a\nb"), "+ a\n+ b\n");
  EXPECT_EQ(DiffForPeople("a\r\nb\r\n", "a\r\nB\r\n"), "  a\n- b\n+ B\n");
  EXPECT_EQ(DiffForPeople("a\n", "a\n"), "");
}

TEST(TextDiffTest, OfALongLineOnlyTheChangeIsShown) {
  const std::string long_line = R"({"a":{"TOKEN":"s3cret"}, "c": ")" + std::string(50, 'c') + "\"";
  EXPECT_EQ(DiffForPeople(long_line + "}", long_line + ", \"b\": 1}"), "+ … , \"b\": 1 …\n");
  EXPECT_EQ(DiffForPeople(long_line + "ä}", long_line + "ö}"), "- … ä …\n+ … ö …\n");
  EXPECT_EQ(DiffForPeople("a = 'ä'\n", "a = 'ö'\n"), "- a = 'ä'\n+ a = 'ö'\n");
}

TEST(TextDiffTest, SecretsAreNotShown) {
  EXPECT_EQ(DiffForPeople("  \"a\": \"s3cret\",\n  \"API_KEY\": \"s3cret\"\n",
                          "  \"a\": \"s3cret\",\n  \"b\": \"shown\"\n"),
            "    \"a\": …\n-   \"API_KEY\": …\n+   \"b\": \"shown\"\n");
}

}  // namespace
}  // namespace contree::standalone
