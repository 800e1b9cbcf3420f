#include "common/telemetry/logging.h"

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "common/telemetry/log_scope.h"
#include "common/testing/status_matchers.h"

namespace contree {
namespace {

using testing::HasSubstr;

TEST(LoggingTest, WritesOneJsonObjectALineToStderr) {
  ASSERT_OK(InitLogging("contree-test", "INFO"));
  testing::internal::CaptureStderr();
  testing::internal::CaptureStdout();
  LogDebug("not shown");
  LogInfo("line one\nline {two}", {{"path", "/a \"b\""}, {"bytes", std::string("\xff", 1)}});
  const std::string line = testing::internal::GetCapturedStderr();
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  ASSERT_EQ(line.find('\n'), line.size() - 1) << line;
  const nlohmann::json parsed = nlohmann::json::parse(line);
  EXPECT_EQ(parsed["message"], "line one\nline {two}");
  EXPECT_EQ(parsed["path"], "/a \"b\"");
  EXPECT_EQ(parsed["level"], "info");
  EXPECT_EQ(parsed["program"], "contree-test");
  EXPECT_EQ(parsed["bytes"], "\xef\xbf\xbd");
}

TEST(LoggingTest, LinesHaveTheFieldsOfTheirScopes) {
  ASSERT_OK(InitLogging("contree-test", "info"));
  testing::internal::CaptureStderr();
  {
    const LogScope call({{"request_id", "outer"}, {"trace_id", "t"}, {"empty", ""}});
    {
      const LogScope inner(LogFields{{"request_id", "inner"}});
      LogInfo("within");
      LogInfo("own", {{"request_id", "own"}});
    }
    LogInfo("after");
  }
  LogInfo("outside");
  std::istringstream lines(testing::internal::GetCapturedStderr());
  const auto next = [&lines] {
    std::string line;
    std::getline(lines, line);
    EXPECT_EQ(line.find("request_id"), line.rfind("request_id")) << line;
    return nlohmann::json::parse(line);
  };
  const nlohmann::json within = next();
  EXPECT_EQ(within["request_id"], "inner");
  EXPECT_EQ(within["trace_id"], "t");
  EXPECT_FALSE(within.contains("empty"));
  EXPECT_EQ(next()["request_id"], "own");
  EXPECT_EQ(next()["request_id"], "outer");
  EXPECT_FALSE(next().contains("request_id"));
}

TEST(LoggingTest, AnUnknownLevelIsAnError) {
  EXPECT_THAT(InitLogging("contree-test", "loud"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'loud'")));
}

}  // namespace
}  // namespace contree
