// contree-mcp --remote: the client's files on this side, an installation behind TLS on the other,
// which asks for a token and goes away once.

#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "auth-service/auth_service.h"
#include "common/auth/keys_authenticator.h"
#include "common/files/sha256.h"
#include "common/files/state_directory.h"
#include "common/server/grpc_server.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "contree-service/api_endpoint.h"
#include "contree-service/contree_service.h"
#include "gmock/gmock.h"
#include "local-backend/testing/backend_process.h"
#include "standalone/mcp_stdio_client.h"
#include "sync-service/sync_service.h"
#include "tests/harness/certificates.h"
#include "tests/harness/server_process.h"

namespace contree::testing_harness {
namespace {

using nlohmann::json;
using standalone::McpStdioClient;
using testing::HasSubstr;
using testing::Not;

constexpr absl::Duration kTimeout = absl::Seconds(60);
constexpr char kKey[] = "the-key-of-the-laptop";
constexpr char kBusybox[] = "tag:busybox:latest";

class OnePlatform final : public ApiEndpointSource {
 public:
  explicit OnePlatform(std::string url) : url_(std::move(url)) {}
  absl::StatusOr<ApiEndpoint> EndpointFor(const CallContext& context) override {
    if (context.tenant != "team") return absl::UnauthenticatedError("not the team");
    return ApiEndpoint{.base_url = url_, .token = "any", .project = "", .platform = ""};
  }

 private:
  const std::string url_;
};

// The three services behind one TLS port, as an edge that routes by path makes them look.
class RemoteTest : public testing::Test {
 protected:
  RemoteTest()
      : backend_(temp_.File("backend"), {}),
        platform_(backend_.url()),
        authority_(MakeAuthority(KeyKind::kEllipticCurve)) {
    const Certificate certificate = MakeServerCertificate(authority_);
    EXPECT_OK(WritePrivateFile(temp_.File("ca.pem"), authority_.certificate_pem));
    EXPECT_OK(WritePrivateFile(temp_.File("server.pem"), certificate.certificate_pem));
    EXPECT_OK(WritePrivateFile(temp_.File("server.key"), certificate.key_pem));
    EXPECT_OK(WritePrivateFile(temp_.File("keys"), absl::StrCat(Sha256Hex(kKey), " team me\n")));
    Serve("127.0.0.1:0");
  }
  ~RemoteTest() override { StopServing(); }

  void Serve(const std::string& listen) {
    auto contree = ContreeService::Create({.state_dir = temp_.File("contree")}, &platform_);
    auto auth = AuthService::Create({.state_dir = temp_.File("auth")});
    auto sync = SyncService::Create({.state_dir = temp_.File("sync")});
    auto keys = KeysAuthenticator::Open(temp_.File("keys"));
    ASSERT_OK(contree);
    ASSERT_OK(auth);
    ASSERT_OK(sync);
    ASSERT_OK(keys);
    contree_ = *std::move(contree);
    auth_ = *std::move(auth);
    sync_ = *std::move(sync);
    GrpcServerOptions options;
    options.listen = listen;
    options.authenticator = *std::move(keys);
    options.tls = {.certificate = temp_.File("server.pem"), .key = temp_.File("server.key")};
    auto server = GrpcServer::Start(
        options, {contree_->grpc_service(), auth_->grpc_service(), sync_->grpc_service()});
    ASSERT_OK(server);
    server_ = *std::move(server);
    sync_->ConnectTo(server_->InProcessChannel());
    address_ = server_->address();
  }
  void StopServing() {
    if (contree_ != nullptr) contree_->Stop();
    server_ = nullptr;
    contree_ = nullptr;
    auth_ = nullptr;
    sync_ = nullptr;
  }

  std::unique_ptr<McpStdioClient> Connect(const std::vector<std::string>& more_flags) {
    std::vector<std::string> command = {Program("standalone/contree-mcp"), "--remote",
                                        "https://" + address_, "--state-dir", temp_.File("laptop")};
    command.insert(command.end(), more_flags.begin(), more_flags.end());
    auto client = McpStdioClient::Start(command, temp_.File("log"));
    EXPECT_OK(client);
    if (!client.ok()) return nullptr;
    EXPECT_OK((*client)->Initialize("2025-06-18", kTimeout));
    return *std::move(client);
  }
  static json Call(McpStdioClient& client, const std::string& tool, const json& arguments) {
    auto result = client.CallTool(tool, arguments, kTimeout);
    EXPECT_OK(result) << tool;
    return result.value_or(json::object());
  }
  static json CallOk(McpStdioClient& client, const std::string& tool, const json& arguments) {
    const json result = Call(client, tool, arguments);
    EXPECT_EQ(result.value("isError", true), false) << tool << result;
    return result.value("structuredContent", json::object());
  }
  static std::string CallError(McpStdioClient& client, const std::string& tool,
                               const json& arguments) {
    const json result = Call(client, tool, arguments);
    EXPECT_EQ(result.value("isError", false), true) << tool << result;
    return result["content"][0].value("text", "");
  }
  std::vector<std::string> Trusting() {
    EXPECT_OK(WritePrivateFile(temp_.File("token"), absl::StrCat(kKey, "\n")));
    return {"--remote-ca", temp_.File("ca.pem"), "--remote-token-file", temp_.File("token")};
  }

  TempDirectory temp_;
  BackendProcess backend_;
  OnePlatform platform_;
  const Certificate authority_;
  std::unique_ptr<ContreeService> contree_;
  std::unique_ptr<AuthService> auth_;
  std::unique_ptr<SyncService> sync_;
  std::unique_ptr<GrpcServer> server_;
  std::string address_;
};

TEST_F(RemoteTest, ToolsRunThereOnTheFilesOfThisSide) {
  const auto client = Connect(Trusting());
  ASSERT_EQ(mkdir(temp_.File("project").c_str(), 0700), 0);
  std::ofstream(temp_.File("project/greeting.txt")) << "from the laptop\n";
  const json synced =
      CallOk(*client, "rsync", {{"source", temp_.File("project")}, {"destination", "/work"}});
  const json run = CallOk(*client, "run",
                          {{"command",
                            "cat /work/greeting.txt; tr a-z A-Z < /work/greeting.txt > "
                            "/work/loud.txt"},
                           {"image", kBusybox},
                           {"disposable", false},
                           {"directory_state_id", synced.value("directory_state_id", "")}});
  EXPECT_EQ(run.value("stdout", ""), "from the laptop\n");
  CallOk(*client, "download",
         {{"image", run.value("result_image", "")},
          {"path", "/work/loud.txt"},
          {"destination", temp_.File("loud.txt")}});
  std::stringstream downloaded;
  downloaded << std::ifstream(temp_.File("loud.txt")).rdbuf();
  EXPECT_EQ(downloaded.str(), "FROM THE LAPTOP\n");
  const json uploaded = CallOk(*client, "upload", {{"path", temp_.File("project/greeting.txt")}});
  const json with_file = CallOk(*client, "run",
                                {{"command", "cat /there"},
                                 {"image", kBusybox},
                                 {"files", {{"/there", uploaded.value("uuid", "")}}}});
  EXPECT_EQ(with_file.value("stdout", ""), "from the laptop\n");
}

TEST_F(RemoteTest, ALostConnectionIsSaidAndTheNextCallWorks) {
  const auto client = Connect(Trusting());
  EXPECT_FALSE(CallOk(*client, "list_images", json::object()).empty());
  const std::string address = address_;
  StopServing();
  EXPECT_THAT(CallError(*client, "list_images", json::object()),
              HasSubstr("the connection to https://" + address + " was lost or cannot be made"));
  Serve(address);
  // The first calls may still find the pause before the next attempt (2 s at most).
  const absl::Time end = absl::Now() + absl::Seconds(10);
  json result;
  do {
    result = Call(*client, "list_images", json::object());
  } while (result.value("isError", true) && absl::Now() < end);
  EXPECT_EQ(result.value("isError", true), false) << result;
}

TEST_F(RemoteTest, AnOperationGoesOnWhileTheConnectionIsLost) {
  const auto client = Connect(Trusting());
  const json started = CallOk(
      *client, "run", {{"command", "sleep 3; echo done"}, {"image", kBusybox}, {"wait", false}});
  const std::string address = address_;
  StopServing();
  EXPECT_THAT(CallError(*client, "get_operation", {{"operation_id", started["operation_id"]}}),
              HasSubstr("Operations that run go on"));
  Serve(address);
  const absl::Time end = absl::Now() + absl::Seconds(30);
  json record;
  do {
    const json result = Call(*client, "wait_operations",
                             {{"operation_ids", {started["operation_id"]}}, {"timeout", 20}});
    record = result.value("isError", true) ? json() : result["structuredContent"];
  } while (record.is_null() && absl::Now() < end);
  EXPECT_THAT(record.dump(), HasSubstr("done\\n"));
}

TEST_F(RemoteTest, WithoutTheRightTokenOrAuthorityNothingIsAnswered) {
  setenv("CONTREE_MCP_REMOTE_TOKEN", "a-wrong-key", 1);
  const auto wrong_key = Connect({"--remote-ca", temp_.File("ca.pem")});
  unsetenv("CONTREE_MCP_REMOTE_TOKEN");
  const std::string error = CallError(*wrong_key, "list_images", json::object());
  EXPECT_THAT(error, HasSubstr("a valid bearer token is required"));
  EXPECT_THAT(error, Not(HasSubstr("a-wrong-key")));

  const Certificate other = MakeAuthority(KeyKind::kEllipticCurve);
  ASSERT_OK(WritePrivateFile(temp_.File("other.pem"), other.certificate_pem));
  std::vector<std::string> flags = Trusting();
  flags[1] = temp_.File("other.pem");
  const auto distrusting = Connect(flags);
  EXPECT_THAT(CallError(*distrusting, "list_images", json::object()),
              HasSubstr("was lost or cannot be made"));
}

TEST_F(RemoteTest, DoctorAndStatusLookAtTheInstallation) {
  const auto told = [this](const std::string& command, std::vector<std::string> flags) {
    flags.insert(flags.begin(), {Program("standalone/contree-mcp"), "--remote",
                                 "https://" + address_, "--state-dir", temp_.File("laptop")});
    flags.insert(flags.end(), {command, "--json"});
    auto process = ServerProcess::Start(flags);
    EXPECT_OK(process);
    if (!process.ok()) return json();
    EXPECT_OK((*process)->Wait());
    return json::parse((*process)->Output(), nullptr, /*allow_exceptions=*/false);
  };
  const auto check = [](const json& told, const std::string& name) {
    for (const json& one : told.value("checks", json::array())) {
      if (one["name"] == name) return one;
    }
    return json();
  };
  const json well = told("doctor", Trusting());
  EXPECT_EQ(well["ok"], true) << well;
  EXPECT_EQ(check(well, "remote")["state"], "ok") << well;
  EXPECT_EQ(told("status", Trusting())["platform"], "https://" + address_);
  EXPECT_TRUE(told("status", Trusting())["remote"].contains("operations"));

  const json without_token = told("doctor", {"--remote-ca", temp_.File("ca.pem")});
  EXPECT_EQ(without_token["ok"], false);
  EXPECT_THAT(check(without_token, "remote").dump(), HasSubstr("CONTREE_MCP_REMOTE_TOKEN"));
  StopServing();
  const json ended = told("doctor", Trusting());
  EXPECT_EQ(ended["ok"], false) << ended;
  EXPECT_THAT(check(ended, "remote").dump(), HasSubstr("was lost or cannot be made"));
  EXPECT_THAT(told("status", Trusting())["remote"].dump(), HasSubstr("was lost or cannot be made"));
}

TEST_F(RemoteTest, WhatIsMissingIsNamedAtTheStart) {
  const auto refused = [this](const std::vector<std::string>& flags, const std::string& what) {
    std::vector<std::string> command = {Program("standalone/contree-mcp"), "--state-dir",
                                        temp_.File("laptop")};
    command.insert(command.end(), flags.begin(), flags.end());
    auto process = ServerProcess::Start(command);
    ASSERT_OK(process);
    const auto exit_code = (*process)->Wait();
    ASSERT_OK(exit_code);
    EXPECT_NE(*exit_code, 0);
    EXPECT_THAT((*process)->Output(), HasSubstr(what));
  };
  refused({"--remote", "https://" + address_}, "CONTREE_MCP_REMOTE_TOKEN");
  refused({"--remote", "http://" + address_, "--remote-token-file", temp_.File("keys")},
          "https://HOST");
  refused({"--remote", "https://" + address_, "--remote-token-file", temp_.File("absent")},
          "absent");
}

}  // namespace
}  // namespace contree::testing_harness
