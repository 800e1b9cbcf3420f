// The system as separate programs: local-backend, contree-service, gateway, sync-service and
// auth-service, each with a state directory and ports of its own, spoken to over HTTP and probed
// over gRPC.

#include <signal.h>

#include <initializer_list>
#include <tuple>

#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "gmock/gmock.h"
#include "tests/harness/grpc_probe.h"
#include "tests/harness/mcp_http_client.h"
#include "tests/harness/server_process.h"

namespace contree::testing_harness {
namespace {

using nlohmann::json;
using testing::Contains;

class ServicesTest : public testing::Test {
 protected:
  std::unique_ptr<ServerProcess> Start(const std::string& target, const std::string& state,
                                       std::vector<std::string> more = {},
                                       const std::map<std::string, std::string>& environment = {}) {
    std::vector<std::string> command = {Program(target), "--state-dir", temp_.File(state),
                                        "--log-level", "info"};
    command.insert(command.end(), more.begin(), more.end());
    auto process = ServerProcess::Start(command, environment);
    EXPECT_OK(process);
    return process.ok() ? *std::move(process) : nullptr;
  }

  static std::string Field(ServerProcess& process, const std::string& field) {
    const auto value = process.WaitForLogField(field);
    EXPECT_OK(value);
    return value.value_or("");
  }

  static void ExpectCleanEnd(ServerProcess& process) {
    process.Signal(SIGTERM);
    const absl::StatusOr<int> exit_code = process.Wait();
    EXPECT_OK(exit_code);
    EXPECT_EQ(exit_code.value_or(-1), 0) << process.Output();
  }

  TempDirectory temp_;
};

TEST_F(ServicesTest, ACommandTravelsThroughSeparatePrograms) {
  const auto backend = Start("local-backend/contree-local-backend", "backend");
  const std::string api = Field(*backend, "http");
  const auto service = Start("contree-service/contree-service", "service", {"--url", api},
                             {{"CONTREE_MCP_TOKEN", "any"}});
  const std::string service_address = Field(*service, "grpc");
  const auto gateway = Start("gateway/contree-gateway", "gateway",
                             {"--contree-service", service_address, "--http-port", "0"});
  const std::string gateway_address = Field(*gateway, "grpc");
  McpHttpClient client(Field(*gateway, "mcp"));

  ASSERT_OK_AND_ASSIGN(const json run, client.CallTool("run", {{"command", "echo hello; id -u"},
                                                               {"image", "tag:busybox:latest"}}));
  EXPECT_EQ(run.at("structuredContent").at("stdout"), "hello\n0\n") << run;
  const std::string operation = run.at("structuredContent").at("operation_id");

  for (const std::string& address : {Field(*backend, "grpc"), service_address, gateway_address}) {
    EXPECT_THAT(HealthOf(address), testing::Eq(absl::StatusOr<std::string>("SERVING"))) << address;
    ASSERT_OK_AND_ASSIGN(const std::vector<std::string> names, ReflectedServices(address));
    EXPECT_THAT(names, Contains("grpc.health.v1.Health"));
  }
  EXPECT_THAT(HealthOf(service_address, "contree.v1.ContreeService"),
              testing::Eq(absl::StatusOr<std::string>("SERVING")));
  ASSERT_OK_AND_ASSIGN(const std::vector<std::string> names, ReflectedServices(service_address));
  EXPECT_THAT(names, Contains("contree.v1.ContreeService"));

  // A final record outlives the platform.
  ExpectCleanEnd(*backend);
  ASSERT_OK_AND_ASSIGN(const json stored,
                       client.CallTool("get_operation", {{"operation_id", operation}}));
  EXPECT_EQ(stored.at("structuredContent").at("stdout"), "hello\n0\n") << stored;

  ExpectCleanEnd(*gateway);
  ExpectCleanEnd(*service);
}

TEST_F(ServicesTest, SyncAndAuthServeHealthAndDrain) {
  for (const auto& [target, name, flags] :
       std::initializer_list<std::tuple<const char*, const char*, std::vector<std::string>>>{
           {"sync-service/sync-service",
            "contree.sync.v1.SyncService",
            {"--contree-service", "127.0.0.1:1"}},
           {"auth-service/auth-service", "contree.auth.v1.RegistryAuthService", {}}}) {
    const auto service = Start(target, "state", flags);
    const std::string address = Field(*service, "grpc");
    EXPECT_THAT(HealthOf(address, name), testing::Eq(absl::StatusOr<std::string>("SERVING")))
        << target;
    ASSERT_OK_AND_ASSIGN(const std::vector<std::string> names, ReflectedServices(address));
    EXPECT_THAT(names, Contains(name));
    ExpectCleanEnd(*service);
  }
}

TEST_F(ServicesTest, OneProcessServesTheSameWay) {
  const auto desk =
      Start("standalone/contree-mcp", "desk",
            {"--local", "--mode", "http", "--http-port", "0", "--grpc-listen", "127.0.0.1:0"});
  const std::string address = Field(*desk, "grpc");
  ASSERT_OK_AND_ASSIGN(const std::vector<std::string> names, ReflectedServices(address));
  for (const char* name : {"contree.v1.ContreeService", "contree.auth.v1.RegistryAuthService",
                           "contree.sync.v1.SyncService"}) {
    EXPECT_THAT(HealthOf(address, name), testing::Eq(absl::StatusOr<std::string>("SERVING")))
        << name;
    EXPECT_THAT(names, Contains(name));
  }
  ExpectCleanEnd(*desk);
}

TEST_F(ServicesTest, NothingListensBeyondLoopback) {
  for (const auto& [target, flags] :
       std::initializer_list<std::pair<const char*, std::vector<std::string>>>{
           {"local-backend/contree-local-backend", {"--listen", "0.0.0.0:0"}},
           {"contree-service/contree-service",
            {"--url", "http://127.0.0.1:1", "--listen", "0.0.0.0:0"}},
           {"gateway/contree-gateway",
            {"--contree-service", "127.0.0.1:1", "--http-listen", "0.0.0.0", "--http-port", "0"}},
           {"sync-service/sync-service",
            {"--contree-service", "127.0.0.1:1", "--listen", "0.0.0.0:0"}},
           {"auth-service/auth-service", {"--listen", "0.0.0.0:0"}},
           {"standalone/contree-mcp",
            {"--local", "--mode", "http", "--http-listen", "0.0.0.0", "--http-port", "0"}}}) {
    const auto process = Start(target, "state", flags);
    const absl::StatusOr<int> exit_code = process->Wait();
    EXPECT_OK(exit_code) << target;
    EXPECT_NE(exit_code.value_or(0), 0) << target;
    EXPECT_THAT(process->Output(), testing::HasSubstr("0.0.0.0")) << target;
  }
}

}  // namespace
}  // namespace contree::testing_harness
