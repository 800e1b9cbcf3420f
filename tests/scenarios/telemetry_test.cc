// What the programs tell their operators: metrics, readiness, health, and logs by which a call is
// found in all of them. All of it of real processes.

#include <signal.h>

#include <fstream>
#include <map>
#include <memory>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/http/http_client.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/harness/mcp_http_client.h"
#include "tests/harness/server_process.h"

namespace contree::testing_harness {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::IsSupersetOf;

constexpr char kTraceId[] = "0af7651916cd43dd8448eb211c80319c";

std::string ReadAll(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::string Field(ServerProcess& process, const std::string& field) {
  const auto value = process.WaitForLogField(field);
  EXPECT_OK(value);
  return value.value_or("");
}

HttpResponse Get(const std::string& url, const std::string& target) {
  absl::StatusOr<HttpResponse> response = McpHttpClient(url).Exchange({.target = target});
  EXPECT_OK(response);
  return response.ok() ? *std::move(response) : HttpResponse();
}

// The names of metrics that a text of Prometheus' format declares.
std::set<std::string> DeclaredIn(const std::string& exposition) {
  std::set<std::string> names;
  for (const absl::string_view line : absl::StrSplit(exposition, '\n')) {
    if (!absl::StartsWith(line, "# TYPE ")) continue;
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    names.insert(words[2]);
    if (words[3] != "histogram") continue;
    for (const char* part : {"_bucket", "_sum", "_count"}) names.insert(words[2] + part);
  }
  return names;
}

// The names of our metrics that rules or a dashboard ask for.
std::set<std::string> NamedIn(const std::string& text) {
  static const std::regex name("contree_[a-z_]+");
  return {std::sregex_token_iterator(text.begin(), text.end(), name), std::sregex_token_iterator()};
}

class TelemetryTest : public testing::Test {
 protected:
  ServerProcess& Start(const std::string& target, std::vector<std::string> more = {},
                       const std::map<std::string, std::string>& environment = {}) {
    std::vector<std::string> command = {
        Program(target), "--state-dir", temp_.File(absl::StrCat("state", processes_.size())),
        "--log-level",   "debug",       "--admin-listen",
        "127.0.0.1:0"};
    command.insert(command.end(), more.begin(), more.end());
    auto process = ServerProcess::Start(command, environment);
    EXPECT_OK(process);
    processes_.push_back(*std::move(process));
    return *processes_.back();
  }

  void StartAll() {
    backend_ = &Start("local-backend/contree-local-backend");
    service_ = &Start(
        "contree-service/contree-service",
        {"--url", Field(*backend_, "http"), "--listen", "unix:" + temp_.File("service.sock")},
        {{"CONTREE_MCP_TOKEN", "any"}});
    const std::string address = Field(*service_, "grpc");
    sync_ = &Start("sync-service/sync-service", {"--contree-service", address});
    auth_ = &Start("auth-service/auth-service");
    gateway_ = &Start(
        "gateway/contree-gateway",
        {"--http-port", "0", "--contree-service", address, "--sync-service", Field(*sync_, "grpc"),
         "--auth-service", Field(*auth_, "grpc"), "--workspace-root", temp_.path()});
    mcp_ = std::make_unique<McpHttpClient>(Field(*gateway_, "mcp"));
  }

  // The exit code of PROGRAM healthcheck ADDRESS, and what it says.
  static std::pair<int, std::string> HealthCheck(const std::string& target,
                                                 const std::string& address) {
    auto process = ServerProcess::Start({Program(target), "healthcheck", address});
    EXPECT_OK(process);
    const auto code = (*process)->Wait();
    EXPECT_OK(code);
    return {code.value_or(-1), (*process)->Output()};
  }

  TempDirectory temp_;
  std::vector<std::unique_ptr<ServerProcess>> processes_;
  ServerProcess* backend_ = nullptr;
  ServerProcess* service_ = nullptr;
  ServerProcess* sync_ = nullptr;
  ServerProcess* auth_ = nullptr;
  ServerProcess* gateway_ = nullptr;
  std::unique_ptr<McpHttpClient> mcp_;
};

TEST_F(TelemetryTest, TheProgramsHaveWhatDashboardAndAlertsAskFor) {
  StartAll();
  std::ofstream(temp_.File("file")) << "content";
  ASSERT_OK(mcp_->CallTool("run", {{"command", "true"}, {"image", "tag:busybox:latest"}}));
  for (int i = 0; i < 2; ++i) {
    ASSERT_OK(mcp_->CallTool("list_files", {{"path", "/bin"}, {"image", "tag:busybox:latest"}}));
    ASSERT_OK(
        mcp_->CallTool("rsync", {{"source", temp_.File("file")}, {"destination", "/app/file"}}));
  }

  std::map<std::string, std::string> texts;
  std::set<std::string> declared;
  for (ServerProcess* process : {backend_, service_, sync_, auth_, gateway_}) {
    const HttpResponse metrics = Get(Field(*process, "admin"), "/metrics");
    EXPECT_EQ(metrics.status, 200);
    texts[Field(*process, "program")] = metrics.body;
    declared.merge(DeclaredIn(metrics.body));
  }
  for (const char* file : {"alerts.yaml", "grafana-dashboard.json"}) {
    const std::set<std::string> named =
        NamedIn(ReadAll(Program(absl::StrCat("k8s/components/monitoring/", file))));
    EXPECT_GE(named.size(), 5u) << file;
    EXPECT_THAT(declared, IsSupersetOf(named)) << file;
  }

  EXPECT_THAT(
      texts["contree-gateway"],
      AllOf(HasSubstr("contree_tool_calls_total{outcome=\"ok\",tenant=\"local\","
                      "tool=\"run\"} 1\n"),
            HasSubstr("contree_tool_duration_seconds_count{tool=\"list_files\"} 2\n"),
            HasSubstr("contree_tool_calls_running 0\n"), HasSubstr("contree_open_streams 0\n")));
  EXPECT_THAT(
      texts["contree-service"],
      AllOf(ContainsRegex("contree_rpc_calls_total\\{code=\"OK\",method=\"[A-Za-z]+\","
                          "service=\"contree.v1.ContreeService\",tenant=\"local\"\\} [1-9]"),
            HasSubstr("contree_cache_hits_total{cache=\"listings\"} 1\n"),
            HasSubstr("contree_cache_misses_total{cache=\"listings\"} 1\n"),
            HasSubstr("contree_operations_running{tenant=\"local\"} 0\n"),
            ContainsRegex("contree_upstream_requests_total\\{code=\"201\",method=\"POST\","
                          "route=\"/v1/instances\"\\} 1"),
            HasSubstr("contree_upstream_up 1\n")));
  EXPECT_THAT(texts["sync-service"],
              AllOf(HasSubstr("contree_synced_files_total{outcome=\"uploaded\"} 1\n"),
                    HasSubstr("contree_synced_files_total{outcome=\"reused\"} 1\n")));
  EXPECT_THAT(texts["contree-local-backend"],
              HasSubstr("contree_backend_operations{state=\"running\"} 0\n"));
}

TEST_F(TelemetryTest, ReadinessAndHealthAreToldByEachProgram) {
  StartAll();
  const std::vector<std::pair<const char*, ServerProcess*>> programs = {
      {"local-backend/contree-local-backend", backend_},
      {"contree-service/contree-service", service_},
      {"sync-service/sync-service", sync_},
      {"auth-service/auth-service", auth_},
      {"gateway/contree-gateway", gateway_}};
  for (const auto& [target, process] : programs) {
    EXPECT_EQ(Get(Field(*process, "admin"), "/healthz").status, 200) << target;
    EXPECT_EQ(Get(Field(*process, "admin"), "/readyz").status, 200) << target;
    const std::string address = Field(*process, "grpc");
    EXPECT_EQ(HealthCheck(target, address).first, 0) << target;
    process->Signal(SIGTERM);
    ASSERT_OK(process->Wait());
    const auto [code, says] = HealthCheck(target, address);
    EXPECT_EQ(code, 1) << target;
    EXPECT_THAT(says, HasSubstr(address)) << target;
  }
}

TEST_F(TelemetryTest, ACallIsFoundInAllLogsByItsTrace) {
  StartAll();
  const json request = {
      {"jsonrpc", "2.0"},
      {"id", 1},
      {"method", "tools/call"},
      {"params",
       {{"name", "list_files"},
        {"arguments", {{"path", "/bin"}, {"image", "tag:busybox:latest"}}},
        {"_meta", {{"traceparent", absl::StrCat("00-", kTraceId, "-b7ad6b7169203331-01")}}}}}};
  ASSERT_OK(mcp_->Post(request.dump()));
  ASSERT_OK(gateway_->WaitForText("\"message\":\"request\""));
  ASSERT_OK(service_->WaitForText("\"message\":\"call\""));  // the last of the call's
  std::map<std::string, std::set<std::string>> request_ids;  // by program
  std::set<std::string> messages;
  for (ServerProcess* process : {gateway_, service_}) {
    const std::string program = Field(*process, "program");
    for (const absl::string_view line : absl::StrSplit(process->Output(), '\n')) {
      if (!absl::StrContains(line, kTraceId)) continue;
      const json entry = json::parse(std::string(line));
      EXPECT_EQ(entry.value("trace_id", ""), kTraceId) << line;
      request_ids[program].insert(entry.value("request_id", ""));
      messages.insert(absl::StrCat(program, ": ", entry.value("message", "")));
    }
  }
  EXPECT_THAT(messages, IsSupersetOf({"contree-gateway: request", "contree-service: rpc",
                                      "contree-service: call"}));
  EXPECT_EQ(request_ids["contree-gateway"].size(), 1u);
  EXPECT_EQ(request_ids["contree-gateway"], request_ids["contree-service"]);
}

}  // namespace
}  // namespace contree::testing_harness
