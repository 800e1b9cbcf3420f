#include "gateway/web/html.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(HtmlTest, TextCannotLeaveItsPlace) {
  EXPECT_EQ(HtmlText(R"(<a href="x">&'</a>)"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;&lt;/a&gt;");
}

TEST(HtmlTest, MarkdownBecomesHtml) {
  const std::string html =
      MarkdownToHtml("# A\n\ntext with `code`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n", 2);
  EXPECT_THAT(html, HasSubstr("<h3>A</h3>"));
  EXPECT_THAT(html, HasSubstr("<code>code</code>"));
  EXPECT_THAT(html, HasSubstr("<td>1</td>"));
}

TEST(HtmlTest, HeadingsStopAtTheSixthLevel) {
  EXPECT_EQ(MarkdownToHtml("##### A\n", 4), "<h6>A</h6>\n");
}

TEST(HtmlTest, HtmlInMarkdownIsText) {
  const std::string html = MarkdownToHtml("a <script>x</script> `<h1>`\n\n<b>bold</b>\n");
  EXPECT_THAT(html, Not(HasSubstr("<script>")));
  EXPECT_THAT(html, Not(HasSubstr("<b>")));
  EXPECT_THAT(html, HasSubstr("&lt;script&gt;"));
}

}  // namespace
}  // namespace contree::gateway
