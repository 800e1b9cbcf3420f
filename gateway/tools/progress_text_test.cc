#include "gateway/tools/progress_text.h"

#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using contree::v1::OperationEvent;

TEST(NewestLineTest, IsTheLastThatIsNotBlank) {
  EXPECT_EQ(NewestLine("one\ntwo\n \n\n"), "two");
  EXPECT_EQ(NewestLine("10%\r20%\r"), "20%");
  EXPECT_EQ(NewestLine("no end"), "no end");
  EXPECT_EQ(NewestLine("\n\r\n  "), "");
  EXPECT_EQ(NewestLine(""), "");
}

TEST(NewestLineTest, IsShortAndWithoutControlCharacters) {
  EXPECT_EQ(NewestLine("\x1b[31mred\x1b[0m"), "[31mred[0m");
  EXPECT_EQ(NewestLine(std::string(199, 'x') + "ü"), std::string(199, 'x'));
}

TEST(ProgressTextTest, AnEndSaysHow) {
  OperationEvent event;
  event.mutable_process_exited()->set_exit_code(3);
  EXPECT_EQ(ProgressText(event), "the command ended with exit code 3");
  event.mutable_process_exited()->set_signal(9);
  EXPECT_EQ(ProgressText(event), "signal 9 ended the command");
  event.mutable_process_exited()->set_timed_out(true);
  EXPECT_EQ(ProgressText(event), "the command was ended: its timeout was up");
  EXPECT_EQ(ProgressText(OperationEvent()), "");
}

}  // namespace
}  // namespace contree::gateway
