#include "gateway/mcp/progress.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

TEST(ProgressReporterTest, ProgressGrowsAndCarriesTheTokenAsItCame) {
  std::vector<std::string> sent;
  const NotificationSink sink = [&sent](std::string message) {
    sent.push_back(std::move(message));
  };
  ProgressReporter reporter("\"t1\"", sink, [] { return absl::UnixEpoch(); });
  reporter.Report("a \"b\"");
  reporter.Report("c");
  EXPECT_EQ(sent, (std::vector<std::string>{
                      R"({"jsonrpc":"2.0","method":"notifications/progress","params":)"
                      R"({"progressToken":"t1","progress":1,"message":"a \"b\""}})",
                      R"({"jsonrpc":"2.0","method":"notifications/progress","params":)"
                      R"({"progressToken":"t1","progress":2,"message":"c"}})"}));
}

TEST(ProgressReporterTest, AFloodIsThinnedOut) {
  int sent = 0;
  const NotificationSink sink = [&sent](const std::string&) { ++sent; };
  absl::Time now = absl::UnixEpoch();
  ProgressReporter reporter("1", sink, [&now] { return now; });
  for (int i = 0; i < 1000; ++i) reporter.Report("x");
  EXPECT_EQ(sent, 20);
  now += absl::Seconds(1);
  for (int i = 0; i < 1000; ++i) reporter.Report("x");
  EXPECT_EQ(sent, 30);
}

}  // namespace
}  // namespace contree::gateway
