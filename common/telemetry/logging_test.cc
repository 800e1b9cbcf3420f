#include "common/telemetry/logging.h"

#include <nlohmann/json.hpp>
#include <string>

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

TEST(LoggingTest, AnUnknownLevelIsAnError) {
  EXPECT_THAT(InitLogging("contree-test", "loud"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'loud'")));
}

}  // namespace
}  // namespace contree
