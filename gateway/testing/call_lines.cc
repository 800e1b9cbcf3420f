#include "gateway/testing/call_lines.h"

#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "gateway/tools/arguments.h"
#include "gateway/tools/tool_table.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using nlohmann::json;

void CheckCall(const std::string& line, const std::string& where) {
  const size_t space = line.find(' ');
  ASSERT_NE(space, std::string::npos) << where << ": " << line;
  const std::string name = line.substr(0, space);
  for (const Tool& tool : ToolTable()) {
    if (tool.name != name) continue;
    const auto checker = ArgumentChecker::Create(tool.input_schema);
    ASSERT_TRUE(checker.ok()) << checker.status();
    const json arguments = json::parse(line.substr(space + 1), nullptr, /*allow_exceptions=*/false);
    EXPECT_FALSE(arguments.is_discarded()) << where << ": no JSON: " << line;
    const auto checked = (*checker)->Check(arguments);
    EXPECT_TRUE(checked.ok()) << where << ": " << line << ": " << checked.status();
    return;
  }
  ADD_FAILURE() << where << ": no tool for " << line;
}

}  // namespace

int CheckCallLines(absl::string_view markdown, const std::string& where) {
  int calls = 0;
  std::string fence;  // of the block we are in
  bool holds_calls = false;
  for (const absl::string_view line : absl::StrSplit(markdown, '\n')) {
    if (absl::StartsWith(line, "```")) {
      const std::string ticks(line.substr(0, line.find_first_not_of('`')));
      if (fence.empty()) {
        fence = ticks;
        holds_calls = ticks.size() == line.size();
      } else if (line == fence) {
        fence.clear();
      }
      continue;
    }
    if (fence.empty() || !holds_calls || line.empty()) continue;
    CheckCall(std::string(line), where);
    ++calls;
  }
  EXPECT_TRUE(fence.empty()) << where << ": a code block has no end";
  return calls;
}

}  // namespace contree::gateway
