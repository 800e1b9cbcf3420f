// The guides teach what this server does: each call that they show is one that it would take.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gateway/guides/guide_table.h"
#include "gateway/prompts/prompt_table.h"
#include "gateway/resources/resource_table.h"
#include "gateway/testing/call_lines.h"
#include "gateway/tools/tool_table.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using testing::ElementsAre;

TEST(GuidesTest, ThereAreSevenInTheirOrder) {
  std::vector<std::string> sections;
  for (const Guide& guide : GuideTable()) sections.emplace_back(guide.section);
  EXPECT_THAT(sections, ElementsAre("workflow", "reference", "quickstart", "state", "async",
                                    "tagging", "errors"));
  for (const Guide& guide : GuideTable()) {
    EXPECT_TRUE(absl::StartsWith(guide.content, "# ")) << guide.section;
    EXPECT_TRUE(absl::EndsWith(guide.content, "\n")) << guide.section;
    EXPECT_EQ(FindGuide(guide.section), &guide);
    // An agent reads it whole, and it costs the agent's context.
    EXPECT_LT(guide.content.size(), 9000U) << guide.section;
  }
  EXPECT_EQ(FindGuide("Workflow"), nullptr);
  EXPECT_EQ(FindGuide(""), nullptr);
}

TEST(GuidesTest, EveryCallThatTheyShowIsOneThatItsToolTakes) {
  int calls = 0;
  for (const Guide& guide : GuideTable()) {
    calls += CheckCallLines(guide.content, std::string(guide.section));
  }
  EXPECT_GT(calls, 50);
}

TEST(GuidesTest, TheReferenceNamesEverything) {
  const absl::string_view reference = FindGuide("reference")->content;
  for (const Tool& tool : ToolTable()) {
    EXPECT_TRUE(absl::StrContains(reference, absl::StrCat("| `", tool.name, "` |"))) << tool.name;
    const json schema = json::parse(tool.input_schema);
    for (const auto& [name, property] : schema.at("properties").items()) {
      EXPECT_TRUE(absl::StrContains(reference, name)) << tool.name << "." << name;
    }
  }
  for (const ResourceTemplate& known : ResourceTemplateTable()) {
    EXPECT_TRUE(absl::StrContains(reference, known.uri_template)) << known.uri_template;
  }
  for (const Prompt& prompt : PromptTable()) {
    EXPECT_TRUE(absl::StrContains(reference, prompt.name)) << prompt.name;
  }
  for (const Guide& guide : GuideTable()) {
    EXPECT_TRUE(absl::StrContains(reference, guide.section)) << guide.section;
  }
}

}  // namespace
}  // namespace contree::gateway
