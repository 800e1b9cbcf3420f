#include "local-backend/operations/process_report.h"

#include <nlohmann/json.hpp>

#include "gtest/gtest.h"

namespace contree {
namespace {

using nlohmann::json;

std::vector<Event> EventsOf(const EventLog& log) {
  return log.Read(0, absl::ZeroDuration()).events;
}

SandboxExit Exit(int code) {
  SandboxExit exit;
  exit.pid = 7;
  exit.exit_code = code;
  exit.elapsed = absl::Milliseconds(1500);
  exit.usage.user_microseconds = 250'000;
  exit.usage.max_rss_kilobytes = 900;
  return exit;
}

TEST(ProcessReportTest, EventsBecomeTheResultAgain) {
  EventLog log;
  const ProcessRequest request = {.command = "cmd", .arguments = {"x"}, .truncate_output_at = 5};
  ProcessReport report(2, request, absl::ZeroDuration(), log);
  json result = ProcessResult(EventsOf(log), 2);
  EXPECT_EQ(result["state"]["exit_code"], -1);
  EXPECT_EQ(result["state"]["signal"], -1);
  report.OnStarted(7);
  report.OnOutput(OutputStream::kStdout, "abc");
  result = ProcessResult(EventsOf(log), 2);
  EXPECT_EQ(result["state"]["pid"], 7);
  EXPECT_EQ(result["state"]["exit_code"], -1);
  EXPECT_EQ(result["stdout"]["value"], "abc");
  EXPECT_EQ(result["stdout"]["truncated"], false);
  report.OnOutput(OutputStream::kStdout, "defg");
  report.OnOutput(OutputStream::kStdout, "h");
  report.OnOutput(OutputStream::kStderr, absl::string_view("\0\xff", 2));
  report.OnExit(Exit(3));
  result = ProcessResult(EventsOf(log), 2);
  EXPECT_EQ(result["stdout"],
            (json{{"value", "abcde"}, {"encoding", "ascii"}, {"truncated", true}}));
  EXPECT_EQ(result["stderr"],
            (json{{"value", "AP8="}, {"encoding", "base64"}, {"truncated", false}}));
  EXPECT_EQ(result["state"]["exit_code"], 3);
  EXPECT_EQ(result["state"].size(), 7);
  EXPECT_EQ(result["resources"].size(), 16);
  EXPECT_EQ(result["resources"]["user_cpu_time"], 0.25);
  EXPECT_EQ(result["resources"]["elapsed_time"], 1.5);
  EXPECT_EQ(result["resources"]["max_rss"], 900);
}

TEST(ProcessReportTest, ProcessesAreKeptApart) {
  EventLog log;
  ProcessReport first(1, {.command = "one"}, absl::Seconds(5), log);
  ProcessReport second(2, {.command = "two", .environment = {{"API_KEY", "x"}, {"A", "y"}}},
                       absl::ZeroDuration(), log);
  first.OnStarted(5);
  second.OnStarted(6);
  second.OnOutput(OutputStream::kStdout, "of two");
  second.OnExit(Exit(0));
  EXPECT_EQ(ProcessResult(EventsOf(log), 1)["stdout"]["value"], "");
  EXPECT_EQ(ProcessResult(EventsOf(log), 2)["stdout"]["value"], "of two");
  const json list = ProcessList(EventsOf(log));
  ASSERT_EQ(list.size(), 2);
  EXPECT_EQ(list[0]["command"], "one");
  EXPECT_EQ(list[0]["state"]["exit_code"], -1);
  EXPECT_EQ(list[1]["spid"], 2);
  EXPECT_EQ(list[1]["state"]["exit_code"], 0);
  const json spawn = json::parse(EventsOf(log)[1].json)["data"];
  EXPECT_EQ(spawn["env"], (json{{"API_KEY", "<REDACTED>"}, {"A", "y"}}));
  EXPECT_EQ(spawn["pid"], 6);
}

TEST(ProcessReportTest, StdinIsShownUpToABound) {
  EventLog log;
  ProcessReport report(1, {.command = "cat"}, absl::ZeroDuration(), log);
  report.OnStdin("line\n");
  report.OnStdin(std::string(100'000, 'x'));
  report.OnStdin("no more");
  const auto events = EventsOf(log);
  ASSERT_EQ(events.size(), 2);
  EXPECT_EQ(json::parse(events[0].json)["data"]["value"], "line\n");
  EXPECT_EQ(json::parse(events[1].json)["data"]["value"].get<std::string>().size(), 65'536 - 5);
  EXPECT_EQ(json::parse(events[1].json)["data"]["truncated"], true);
}

TEST(ProcessReportTest, LogOfManySmallPiecesIsBounded) {
  EventLog log;
  ProcessReport report(1, {.command = "x", .truncate_output_at = 10 << 20}, absl::ZeroDuration(),
                       log, /*max_log_bytes=*/100'000);
  for (int i = 0; i < 5'000; ++i) report.OnOutput(OutputStream::kStdout, "x");
  EXPECT_LT(log.bytes(), 101'000);
  report.OnExit(Exit(0));
  const json result = ProcessResult(EventsOf(log), 1);
  EXPECT_EQ(result["stdout"]["truncated"], true);
  EXPECT_LT(result["stdout"]["value"].get<std::string>().size(), 5'000);
}

}  // namespace
}  // namespace contree
