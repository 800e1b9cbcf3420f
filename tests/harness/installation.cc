#include "tests/harness/installation.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/files/sha256.h"
#include "common/files/state_directory.h"
#include "common/testing/status_matchers.h"
#include "gtest/gtest.h"

namespace contree::testing_harness {
namespace {

constexpr char kAlphaToken[] = "alphas-token-at-the-platform";
constexpr char kBetaToken[] = "betas-token-at-the-platform";

std::string Field(ServerProcess& process, const std::string& field) {
  const auto value = process.WaitForLogField(field);
  EXPECT_OK(value);
  return value.value_or("");
}

}  // namespace

Installation::Installation(const std::string& registry) {
  const auto write = [this](const std::string& name, const std::string& text) {
    EXPECT_OK(WritePrivateFile(directory_.File(name), text));
    return directory_.File(name);
  };
  write("keys",
        absl::StrCat(Sha256Hex(kAlphaKey), " alpha ann\n", Sha256Hex(kBetaKey), " beta bob\n",
                     Sha256Hex(kAlphaReader), " alpha dashboard contree:read\n"));
  const std::string projects = write("projects", absl::StrCat(Sha256Hex(kAlphaToken), " alpha\n",
                                                              Sha256Hex(kBetaToken), " beta\n"));
  const std::string api = Field(Start("local-backend/contree-local-backend", "backend",
                                      {"--auth", "keys", "--auth-keys", projects},
                                      /*with_keys=*/false),
                                "http");
  EXPECT_OK(MakePrivateDirectory(directory_.File("credentials")));
  write("credentials/alpha.json", nlohmann::json{{"url", api}, {"token", kAlphaToken}}.dump());
  write("credentials/beta.json", nlohmann::json{{"url", api}, {"token", kBetaToken}}.dump());
  contree_service_ = Field(Start("contree-service/contree-service", "contree-service",
                                 {"--credentials-dir", directory_.File("credentials")}),
                           "grpc");
  std::vector<std::string> registries;
  if (!registry.empty()) {
    registries = {"--insecure-registry", registry, "--private-registry", registry};
  }
  auth_service_ = Field(Start("auth-service/auth-service", "auth-service", registries), "grpc");
  sync_service_ = Field(
      Start("sync-service/sync-service", "sync-service", {"--contree-service", contree_service_}),
      "grpc");
  ServerProcess& gateway =
      Start("gateway/contree-gateway", "gateway",
            {"--http-port", "0", "--contree-service", contree_service_, "--auth-service",
             auth_service_, "--sync-service", sync_service_});
  mcp_url_ = Field(gateway, "mcp");
  gateway_grpc_ = Field(gateway, "grpc");
}

ServerProcess& Installation::Start(const std::string& target, const std::string& name,
                                   const std::vector<std::string>& flags, bool with_keys) {
  std::vector<std::string> command = {Program(target), "--state-dir", directory_.File(name),
                                      "--log-level", "debug"};
  if (with_keys) {
    for (const std::string& flag : {std::string("--auth"), std::string("keys"),
                                    std::string("--auth-keys-file"), directory_.File("keys")}) {
      command.push_back(flag);
    }
  }
  command.insert(command.end(), flags.begin(), flags.end());
  auto process = ServerProcess::Start(command);
  EXPECT_OK(process);
  processes_.push_back(*std::move(process));
  return *processes_.back();
}

std::string Installation::Logs() {
  std::string logs;
  for (const auto& process : processes_) logs += process->Output();
  return logs;
}

}  // namespace contree::testing_harness
