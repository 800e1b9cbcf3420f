// `contree-mcp registry`, which a person runs so that no agent sees the token, and what it leaves
// to agents.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/files/state_directory.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/harness/server_process.h"
#include "tests/harness/test_registry.h"

namespace contree::testing_harness {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

struct Ended {
  int exit_code;
  std::string output;
};

class RegistryTest : public testing::Test {
 protected:
  // Through a shell, with `input` on standard input.
  Ended Registry(const std::string& arguments, const std::string& input = "") {
    const std::string line =
        absl::StrCat("printf '", input, "\\n' | ", Program("standalone/contree-mcp"),
                     " --state-dir ", home_.File("state"), " registry ", arguments);
    const auto process = ServerProcess::Start(
        {"/bin/sh", "-c", line}, {{"HOME", home_.path()}, {"DOCKER_CONFIG", home_.File("docker")}});
    EXPECT_OK(process);
    const absl::StatusOr<int> exit_code = (*process)->Wait(absl::Seconds(60));
    EXPECT_OK(exit_code);
    return {exit_code.value_or(-1), (*process)->Output()};
  }

  const TempDirectory home_;
};

TEST_F(RegistryTest, CredentialsAreAddedListedAndRemoved) {
  TestRegistry registry({.access = TestRegistryOptions::Access::kToken});
  const Ended empty = Registry("list");
  EXPECT_EQ(empty.exit_code, 0);
  EXPECT_THAT(empty.output, HasSubstr("No credentials"));

  const Ended wrong =
      Registry(absl::StrCat("add ", registry.host(), " --username alice"), "hunter2");
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_THAT(wrong.output,
              AllOf(HasSubstr("refuses these credentials"), Not(HasSubstr("hunter2"))));
  EXPECT_THAT(Registry("list").output, HasSubstr("No credentials"));

  const Ended added =
      Registry(absl::StrCat("add ", registry.host(), " --username alice"), kPassword);
  EXPECT_EQ(added.exit_code, 0) << added.output;
  EXPECT_THAT(added.output, AllOf(HasSubstr(registry.issuer().realm()), Not(HasSubstr(kPassword))));
  std::filesystem::create_directory(home_.File("docker"));
  ASSERT_OK(WritePrivateFile(home_.File("docker/config.json"),
                             R"({"auths": {"ghcr.io": {"auth": "Ym9iOnB3"}}})"));
  const Ended listed = Registry("list");
  EXPECT_THAT(listed.output, AllOf(HasSubstr(registry.host()), HasSubstr("alice"),
                                   HasSubstr("ghcr.io"), HasSubstr("docker/config.json")));
  const json for_programs = json::parse(Registry("list --json").output, nullptr, false);
  ASSERT_EQ(for_programs["credentials"].size(), 2u) << for_programs;
  EXPECT_EQ(for_programs["credentials"][0]["registry"], registry.host());
  EXPECT_EQ(for_programs["credentials"][0]["source"], "stored");
  EXPECT_THAT(for_programs.dump(), AllOf(Not(HasSubstr(kPassword)), Not(HasSubstr("Ym9iOnB3"))));

  const Ended removed = Registry(absl::StrCat("remove ", registry.host()));
  EXPECT_EQ(removed.exit_code, 0) << removed.output;
  EXPECT_THAT(Registry("list").output, Not(HasSubstr(registry.host())));
  const Ended again = Registry(absl::StrCat("remove ", registry.host()));
  EXPECT_EQ(again.exit_code, 1);
  EXPECT_THAT(again.output, HasSubstr("no credentials are stored here"));
  EXPECT_THAT(Registry("remove ghcr.io").output, HasSubstr("are kept there"));
}

TEST_F(RegistryTest, MistakesAreSaid) {
  EXPECT_THAT(Registry("add").output, HasSubstr("needs the registry"));
  EXPECT_THAT(Registry("remove").output, HasSubstr("needs the registry"));
  EXPECT_THAT(Registry("show ghcr.io").output, HasSubstr("ACTION"));
  EXPECT_THAT(Registry("add 'not a registry' --username a", "x").output,
              HasSubstr("not a registry"));
  TestRegistry open;
  EXPECT_THAT(Registry(absl::StrCat("add ", open.host(), " --username a"), "x").output,
              HasSubstr("asks nobody for credentials"));
}

}  // namespace
}  // namespace contree::testing_harness
