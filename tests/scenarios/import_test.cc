// Images from registries, end to end: contree-mcp, its embedded backend, Debian's docker-registry.

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "common/testing/temp_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "standalone/mcp_stdio_client.h"
#include "tests/harness/desk.h"
#include "tests/harness/server_process.h"
#include "tests/harness/test_registry.h"

namespace contree::testing_harness {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr char kAnonymous[] = "i_accept_that_anonymous_access_might_be_rate_limited";

class ImportTest : public DeskTest {};

std::string Content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST_F(ImportTest, AnImageIsImportedOnceRunAndKnowsWhereItIsFrom) {
  TestRegistry registry;
  const std::string reference = registry.Push("team/app:1", {BusyboxImage("imported\n")});
  const json imported = Call(
      "import_image", {{"registry_url", reference}, {"tag", "team/app:1"}, {kAnonymous, true}});
  EXPECT_EQ(imported.at("kind"), "image_import");
  EXPECT_EQ(imported.at("state"), "SUCCESS") << imported;
  EXPECT_EQ(imported.at("result_tag"), "team/app:1");
  const std::string image = imported.at("result_image");

  const json run = Call("run", {{"command", "cat /etc/motd"}, {"image", "tag:team/app:1"}});
  EXPECT_EQ(run.at("stdout"), "imported\n") << run;

  // What has not changed is the same image again.
  const json started =
      Call("import_image",
           {{"registry_url", "docker://" + reference}, {"wait", false}, {kAnonymous, true}});
  const std::string id = started.at("operation_id");
  const json waited = Call("wait_operations", {{"operation_ids", {id}}});
  EXPECT_EQ(waited.at("results").at(id).at("result_image"), image);

  const auto lineage = session().Request(
      "resources/read", {{"uri", "contree://image/" + image + "/lineage"}}, kAnswerTimeout);
  ASSERT_TRUE(lineage.ok()) << lineage.status();
  const json content = json::parse((*lineage)["result"]["contents"][0]["text"].get<std::string>());
  EXPECT_EQ(content["root"]["is_import"], true) << content;
  EXPECT_THAT(content["root"]["registry_url"].get<std::string>(), HasSubstr("/team/app"));
}

TEST_F(ImportTest, APrivateRegistryNeedsCredentialsThatAreTriedFirst) {
  TestRegistry registry({.access = TestRegistryOptions::Access::kToken});
  const std::string reference = registry.Push("team/secret:1", {BusyboxImage("secret\n")});
  const json import = {{"registry_url", reference}};
  EXPECT_THAT(CallForError("import_image", import),
              AllOf(HasSubstr(registry.host()), HasSubstr("registry_auth")));

  EXPECT_THAT(CallForError("registry_auth", {{"registry_url", registry.host()},
                                             {"username", kUser},
                                             {"token", "not-the-password"}}),
              AllOf(HasSubstr(registry.host()), Not(HasSubstr("not-the-password"))));
  EXPECT_THAT(CallForError("import_image", import), HasSubstr("registry_auth"));

  const json stored =
      Call("registry_auth",
           {{"registry_url", registry.host()}, {"username", kUser}, {"token", kPassword}});
  EXPECT_EQ(stored.at("status"), "success");
  const json imported = Call("import_image", import);
  ASSERT_EQ(imported.at("state"), "SUCCESS") << imported;
  const json run =
      Call("run", {{"command", "cat /etc/motd"}, {"image", imported.at("result_image")}});
  EXPECT_EQ(run.at("stdout"), "secret\n");
  // Nothing that an agent can read shows the password.
  EXPECT_THAT(Call("get_operation", {{"operation_id", imported.at("operation_id")}}).dump(),
              Not(HasSubstr(kPassword)));
}

TEST_F(ImportTest, ThePasswordIsInNoFileAndNoLog) {
  TestRegistry registry({.access = TestRegistryOptions::Access::kPassword});
  const std::string reference = registry.Push("team/logged:1", {BusyboxImage("logged\n")});
  const TempDirectory directory;
  const std::string log = directory.File("log");
  auto session =
      standalone::McpStdioClient::Start({Program("standalone/contree-mcp"), "--local",
                                         "--state-dir", state_dir(), "--log-level", "debug"},
                                        log);
  ASSERT_TRUE(session.ok()) << session.status();
  ASSERT_TRUE((*session)->Initialize("2025-06-18", kAnswerTimeout).ok());
  CallOn(**session, "registry_auth",
         {{"registry_url", registry.host()}, {"username", kUser}, {"token", kPassword}});
  const json imported = CallOn(**session, "import_image", {{"registry_url", reference}});
  EXPECT_EQ(imported.at("state"), "SUCCESS") << imported;
  EXPECT_THAT(Content(log), HasSubstr("StoreCredentials"));
  EXPECT_THAT(Content(log), Not(HasSubstr(kPassword)));
  for (const auto& entry : std::filesystem::recursive_directory_iterator(
           state_dir(), std::filesystem::directory_options::skip_permission_denied)) {
    if (!entry.is_regular_file()) continue;
    EXPECT_THAT(Content(entry.path()), Not(HasSubstr(kPassword))) << entry.path();
  }
}

TEST_F(ImportTest, AnImportTellsHowFarItIs) {
  TestRegistry registry;
  const std::string reference = registry.Push("team/progress:1", {BusyboxImage("progress\n")});
  const auto answer =
      session().Request("tools/call",
                        {{"name", "import_image"},
                         {"arguments", {{"registry_url", reference}, {kAnonymous, true}}},
                         {"_meta", {{"progressToken", "import"}}}},
                        kAnswerTimeout);
  ASSERT_TRUE(answer.ok()) << answer.status();
  std::string messages;
  for (const json& notification : session().notifications()) {
    if (notification.value("method", "") != "notifications/progress") continue;
    if (notification["params"]["progressToken"] != "import") continue;
    messages += notification["params"].value("message", "") + "\n";
  }
  EXPECT_THAT(messages, HasSubstr("layer 1 of 1"));
}

TEST_F(ImportTest, WhatCannotBeImportedSaysWhy) {
  TestRegistry registry;
  registry.Push("team/app:1", {BusyboxImage()});
  const json missing = {{"registry_url", registry.host() + "/team/nothing:1"}, {kAnonymous, true}};
  EXPECT_THAT(CallForError("import_image", missing), HasSubstr("team/nothing"));
  EXPECT_THAT(CallForError("import_image", {{"registry_url", "Not A Reference"}}),
              HasSubstr("Not A Reference"));
}

TEST_F(ImportTest, ATokenPageIsNamed) {
  const json page = Call("registry_token_obtain", {{"registry_url", "ghcr.io/owner/name"}});
  EXPECT_EQ(page.at("registry"), "ghcr.io");
  EXPECT_EQ(page.at("status"), "url_known");
  EXPECT_THAT(page.at("url").get<std::string>(), HasSubstr("https://github.com/"));
}

}  // namespace
}  // namespace contree::testing_harness
