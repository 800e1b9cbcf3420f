// The guides teach what this server does: each call that they show is one that it would take.

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "gateway/guides/guide_table.h"
#include "gateway/tools/arguments.h"
#include "gateway/tools/tool_table.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using testing::ElementsAre;

// Tools and parameters that are being added at this time.
bool IsComing(absl::string_view line) {
  return absl::StartsWith(line, "rsync ") || absl::StartsWith(line, "import_image ") ||
         absl::StrContains(line, "\"directory_state_id\"");
}

// The lines of the code blocks: each is a call, NAME ARGUMENTS.
std::vector<std::string> CodeLines(absl::string_view markdown) {
  std::vector<std::string> lines;
  bool in_code = false;
  for (const absl::string_view line : absl::StrSplit(markdown, '\n')) {
    if (absl::StartsWith(line, "```")) {
      in_code = !in_code;
    } else if (in_code && !line.empty()) {
      lines.emplace_back(line);
    }
  }
  EXPECT_FALSE(in_code) << "a code block has no end";
  return lines;
}

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
  std::map<std::string, std::unique_ptr<ArgumentChecker>> checkers;
  for (const Tool& tool : ToolTable()) {
    auto checker = ArgumentChecker::Create(tool.input_schema);
    ASSERT_TRUE(checker.ok()) << checker.status();
    checkers[tool.name] = *std::move(checker);
  }
  int calls = 0;
  for (const Guide& guide : GuideTable()) {
    for (const std::string& line : CodeLines(guide.content)) {
      if (IsComing(line)) continue;
      const size_t space = line.find(' ');
      ASSERT_NE(space, std::string::npos) << guide.section << ": " << line;
      const std::string name = line.substr(0, space);
      const json arguments = json::parse(line.substr(space + 1), nullptr, false);
      EXPECT_FALSE(arguments.is_discarded()) << guide.section << ": " << line;
      ASSERT_TRUE(checkers.contains(name)) << guide.section << ": no tool for " << line;
      const auto checked = checkers[name]->Check(arguments);
      EXPECT_TRUE(checked.ok()) << guide.section << ": " << line << ": " << checked.status();
      ++calls;
    }
  }
  EXPECT_GT(calls, 40);
}

TEST(GuidesTest, TheReferenceNamesEveryToolAndEveryParameter) {
  const std::string reference(FindGuide("reference")->content);
  for (const Tool& tool : ToolTable()) {
    EXPECT_TRUE(absl::StrContains(reference, "| `" + tool.name + "` |")) << tool.name;
    const json schema = json::parse(tool.input_schema);
    for (const auto& [name, property] : schema.at("properties").items()) {
      EXPECT_TRUE(absl::StrContains(reference, name)) << tool.name << "." << name;
    }
  }
}

}  // namespace
}  // namespace contree::gateway
