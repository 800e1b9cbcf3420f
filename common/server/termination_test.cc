#include "common/server/termination.h"

#include <signal.h>
#include <unistd.h>

#include <thread>

#include "gtest/gtest.h"

namespace contree {
namespace {

// The signals are blocked for the whole process, as in a program's main: this test has a program of
// its own.
TEST(TerminationTest, WaitsForASignalFromOutsideOrFromTheProgramItself) {
  BlockTerminationSignals();
  std::thread([] { RequestTermination(); }).join();
  EXPECT_EQ(WaitForTermination(), SIGTERM);
  kill(getpid(), SIGINT);
  EXPECT_EQ(WaitForTermination(), SIGINT);
}

TEST(TerminationTest, APeerThatLeftIsAnErrorOfWrite) {
  BlockTerminationSignals();
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  close(fds[0]);
  EXPECT_EQ(write(fds[1], "x", 1), -1);
  EXPECT_EQ(errno, EPIPE);
  close(fds[1]);
}

}  // namespace
}  // namespace contree
