#include "contree-service/audit_log.h"

#include <sys/stat.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "common/time/fake_clock.h"
#include "gmock/gmock.h"

namespace contree {
namespace {

using nlohmann::json;

std::vector<json> Lines(const std::string& path) {
  std::vector<json> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(json::parse(line));
  return lines;
}

TEST(AuditLogTest, SaysWhoDidWhatWithWhatOutcome) {
  const TempDirectory temp;
  const std::string path = temp.File("audit.log");
  FakeClock clock(absl::FromUnixSeconds(1));
  ASSERT_OK_AND_ASSIGN(const auto log, AuditLog::Open(path, &clock));
  CallContext context = NewCallContext(absl::Seconds(1));
  context.tenant = "acme";
  context.principal = "alice";
  context.bearer_token = "secret";
  log->Record("run", context,
              {{"image", "tag:busybox"}, {"command", "echo \"\n\xff"}, {"operation_id", "o1"}},
              absl::OkStatus());
  log->Record("tag", context, {{"image", "i"}, {"tag", ""}}, absl::NotFoundError("no image i"));
  v1::Operation ended;
  ended.set_id("o1");
  ended.set_state(v1::OPERATION_STATE_SUCCESS);
  ended.mutable_instance()->set_exit_code(3);
  ended.set_result_image("made");
  log->RecordEnd("acme", ended);

  struct stat info;
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600);
  const std::vector<json> lines = Lines(path);
  ASSERT_EQ(lines.size(), 3);
  EXPECT_EQ(lines[0]["action"], "run");
  EXPECT_EQ(lines[0]["tenant"], "acme");
  EXPECT_EQ(lines[0]["principal"], "alice");
  EXPECT_EQ(lines[0]["request_id"], context.request_id);
  EXPECT_EQ(lines[0]["outcome"], "OK");
  EXPECT_EQ(lines[0]["command"], "echo \"\n\xef\xbf\xbd");
  EXPECT_EQ(lines[1]["outcome"], "NOT_FOUND");
  EXPECT_EQ(lines[1]["error"], "no image i");
  EXPECT_FALSE(lines[1].contains("tag"));
  EXPECT_EQ(lines[2]["action"], "ended");
  EXPECT_EQ(lines[2]["operation_id"], "o1");
  EXPECT_EQ(lines[2]["exit_code"], 3);
  EXPECT_EQ(lines[2]["result_image"], "made");
  for (const json& line : lines) EXPECT_FALSE(absl::StrContains(line.dump(), "secret"));
}

TEST(AuditLogTest, CutsLongCommands) {
  const TempDirectory temp;
  FakeClock clock(absl::FromUnixSeconds(1));
  ASSERT_OK_AND_ASSIGN(const auto log, AuditLog::Open(temp.File("audit.log"), &clock));
  log->Record("run", {}, {{"command", std::string(100'000, 'x')}}, absl::OkStatus());
  EXPECT_LT(Lines(temp.File("audit.log"))[0].dump().size(), kMaxAuditedBytes + 500);
}

TEST(AuditLogTest, LinesOfManyThreadsStayWhole) {
  const TempDirectory temp;
  FakeClock clock(absl::FromUnixSeconds(1));
  const std::string path = temp.File("audit.log");
  ASSERT_OK_AND_ASSIGN(const auto log, AuditLog::Open(path, &clock));
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&log] {
      for (int n = 0; n < 100; ++n)
        log->Record("run", {}, {{"command", std::string(3000, 'y')}}, absl::OkStatus());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Lines(path).size(), 800);
}

TEST(AuditLogTest, AFileThatCannotBeIsNamed) {
  FakeClock clock(absl::FromUnixSeconds(1));
  EXPECT_THAT(AuditLog::Open("/no/such/audit.log", &clock),
              StatusIs(absl::StatusCode::kNotFound, testing::HasSubstr("/no/such/audit.log")));
  ASSERT_OK_AND_ASSIGN(const auto none, AuditLog::Open("", &clock));
  none->Record("run", {}, {}, absl::OkStatus());
}

}  // namespace
}  // namespace contree
