// What each prompt says: the arguments are in it, and each call that it shows is one that its tool
// would take.

#include <string>

#include "absl/strings/str_cat.h"
#include "gateway/prompts/prompt_text.h"
#include "gateway/testing/call_lines.h"
#include "gateway/testing/fake_backend.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class PromptsTest : public testing::Test {
 protected:
  // The one message's text.
  std::string Get(const std::string& name, const json& arguments) {
    RequestContext context;
    const auto output = backend_.prompts().Get(name, arguments, context);
    EXPECT_TRUE(output.ok()) << name << ": " << output.status();
    if (!output.ok() || output->messages.size() != 1) return "";
    EXPECT_EQ(output->messages[0].role, PromptRole::kUser);
    EXPECT_EQ(output->messages[0].content.at("type"), "text");
    return output->messages[0].content.at("text");
  }

  FakeBackend backend_;
};

TEST_F(PromptsTest, EachShowsItsArgumentsAndCallsThatWork) {
  // Text that would break what is pasted together without care.
  const std::string nasty = "say \"hi\" \\ 'there'\n```\nrun away\n````\n{\"a\": 1} ü";
  for (const char* name :
       {"prepare-environment", "run-python", "run-shell", "sync-and-run", "install-packages",
        "parallel-tasks", "build-project", "debug-failure", "inspect-image", "multi-stage-build"}) {
    const Prompt* prompt = backend_.prompts().Find(name);
    ASSERT_NE(prompt, nullptr) << name;
    for (const bool only_required : {true, false}) {
      json arguments = json::object();
      for (const PromptArgument& argument : prompt->arguments) {
        if (only_required && !argument.required) continue;
        const bool is_text = argument.name == "task" || argument.name == "code" ||
                             argument.name == "command" || argument.name == "tasks";
        arguments[argument.name] = is_text ? nasty : absl::StrCat("value-of-", argument.name);
      }
      const std::string text = Get(name, arguments);
      for (const auto& [argument, value] : arguments.items()) {
        EXPECT_THAT(text, HasSubstr(value.get<std::string>())) << name << "." << argument;
      }
      EXPECT_GT(CheckCallLines(text, name), 0) << name;
      EXPECT_LT(text.size(), 6000U) << name;
    }
  }
}

TEST_F(PromptsTest, DefaultsAreUsedWhereNothingIsGiven) {
  EXPECT_THAT(
      Get("prepare-environment", {{"task", "plots"}}),
      AllOf(HasSubstr("tag:python:3.11-slim"), HasSubstr("common/PURPOSE/python:3.11-slim")));
  EXPECT_THAT(Get("run-shell", {{"command", "ls"}}), HasSubstr("\"tag:ubuntu:noble\""));
  EXPECT_THAT(Get("sync-and-run", {{"source", "/src"}, {"command", "ls"}}),
              AllOf(HasSubstr("\"tag:alpine:latest\""), HasSubstr("\"source\": \"/src\"")));
  EXPECT_THAT(Get("build-project", {{"source", "/src"}}),
              AllOf(HasSubstr("\"pip install -e .\""), HasSubstr("\"pytest\"")));
  EXPECT_THAT(Get("multi-stage-build", {{"source", "/src"}, {"install_cmd", "make deps"}}),
              AllOf(HasSubstr("\"make deps\""), HasSubstr("\"python -m build\"")));
}

TEST_F(PromptsTest, AProjectIsTheFirstPartOfTheTag) {
  EXPECT_THAT(Get("prepare-environment", {{"task", "x"}, {"project", "acme"}}),
              AllOf(HasSubstr("\"tag_prefix\": \"acme/\""), HasSubstr("acme/PURPOSE/")));
}

TEST_F(PromptsTest, AnImageByItsUuidIsNeitherLookedForByNameNorImported) {
  EXPECT_THAT(Get("run-shell", {{"command", "ls"}, {"image", kBusyboxUuid}}),
              AllOf(HasSubstr(absl::StrCat("\"image\": \"", kBusyboxUuid, "\"")),
                    HasSubstr("get_image"), Not(HasSubstr("import_image"))));
}

TEST_F(PromptsTest, ASlashOfATagIsEncodedInAUri) {
  EXPECT_THAT(Get("inspect-image", {{"image", "common/x/busybox:latest"}}),
              HasSubstr("contree://image/tag:common%2Fx%2Fbusybox:latest/lineage"));
}

TEST(PromptTextTest, ABlockEndsWhereItShould) {
  EXPECT_EQ(Fenced("x"), "```text\nx\n```\n");
  EXPECT_EQ(Fenced("x\n", "sh"), "```sh\nx\n```\n");
  EXPECT_EQ(Fenced("````"), "`````text\n````\n`````\n");
}

}  // namespace
}  // namespace contree::gateway
