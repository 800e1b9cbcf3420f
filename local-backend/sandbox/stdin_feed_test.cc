#include "local-backend/sandbox/stdin_feed.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <string>

#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

using testing::HasSubstr;
using Progress = StdinFeed::Progress;

class StdinFeedTest : public testing::Test {
 protected:
  void SetUp() override {
    signal(SIGPIPE, SIG_IGN);
    ASSERT_EQ(pipe2(ends_, O_NONBLOCK | O_CLOEXEC), 0);
  }
  void TearDown() override {
    close(ends_[0]);
    close(ends_[1]);
  }
  std::string Read() {
    std::string all;
    char bytes[4096];
    ssize_t got;
    while ((got = read(ends_[0], bytes, sizeof bytes)) > 0) all.append(bytes, got);
    return all;
  }
  int ends_[2];
};

TEST_F(StdinFeedTest, ClosedOneEndsOnceAllIsWritten) {
  StdinFeed feed("all of it", /*stays_open=*/false);
  EXPECT_EQ(feed.WriteTo(ends_[1]), Progress::kEnded);
  EXPECT_EQ(Read(), "all of it");
  EXPECT_THAT(feed.Add("x", false), StatusIs(absl::StatusCode::kFailedPrecondition, "is closed"));
}

TEST_F(StdinFeedTest, OpenOneTakesMoreUntilItsEnd) {
  StdinFeed feed("", /*stays_open=*/true);
  EXPECT_EQ(feed.WriteTo(ends_[1]), Progress::kIdle);
  EXPECT_OK(feed.Add("a", false));
  EXPECT_OK(feed.Add("b", true));
  EXPECT_EQ(feed.WriteTo(ends_[1]), Progress::kEnded);
  EXPECT_EQ(Read(), "ab");
}

TEST_F(StdinFeedTest, FullPipeIsWaitedForAndNothingIsLost) {
  const std::string much(1 << 20, 'x');
  StdinFeed feed(much, /*stays_open=*/true);
  std::string all;
  Progress progress;
  while ((progress = feed.WriteTo(ends_[1])) == Progress::kWaits) all += Read();
  EXPECT_EQ(progress, Progress::kIdle);
  EXPECT_EQ(all + Read(), much);
}

TEST_F(StdinFeedTest, TooMuchUnreadIsRefused) {
  StdinFeed feed(std::string(1 << 20, 'x'), /*stays_open=*/true);
  EXPECT_EQ(feed.WriteTo(ends_[1]), Progress::kWaits);
  EXPECT_THAT(feed.Add(std::string(16 << 20, 'y'), false),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("yet to read")));
  EXPECT_OK(feed.Add("little", false));
}

TEST_F(StdinFeedTest, ProcessThatReadsNoMoreEndsIt) {
  StdinFeed feed("x", /*stays_open=*/true);
  close(ends_[0]);
  EXPECT_EQ(feed.WriteTo(ends_[1]), Progress::kEnded);
  EXPECT_THAT(feed.Add("x", false), StatusIs(absl::StatusCode::kFailedPrecondition, "is closed"));
  ends_[0] = dup(ends_[1]);
}

}  // namespace
}  // namespace contree
