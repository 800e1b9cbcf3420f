#include "tests/harness/desk.h"

#include "common/testing/status_matchers.h"
#include "tests/harness/server_process.h"

namespace contree::testing_harness {

using nlohmann::json;
using standalone::McpStdioClient;

std::unique_ptr<TempDirectory> DeskTest::state_;
std::unique_ptr<McpStdioClient> DeskTest::session_;

void DeskTest::SetUpTestSuite() {
  state_ = std::make_unique<TempDirectory>();
  session_ = NewSession();
}

void DeskTest::TearDownTestSuite() {
  session_.reset();
  state_.reset();
}

std::unique_ptr<McpStdioClient> DeskTest::NewSession() {
  auto session = McpStdioClient::Start(
      {Program("standalone/contree-mcp"), "--local", "--state-dir", state_dir()});
  EXPECT_OK(session);
  if (!session.ok()) return nullptr;
  EXPECT_OK((*session)->Initialize("2025-06-18", kAnswerTimeout));
  return *std::move(session);
}

json DeskTest::CallOn(McpStdioClient& session, const std::string& tool, const json& arguments) {
  const absl::StatusOr<json> result = session.CallTool(tool, arguments, kAnswerTimeout);
  EXPECT_OK(result) << tool << arguments.dump();
  if (!result.ok()) return json::object();
  EXPECT_FALSE(result->value("isError", false))
      << tool << arguments.dump() << " → " << result->dump();
  if (!result->contains("structuredContent")) return json::object();
  EXPECT_EQ(json::parse(result->at("content").at(0).at("text").get<std::string>()),
            result->at("structuredContent"));
  return result->at("structuredContent");
}

std::string DeskTest::CallForError(const std::string& tool, const json& arguments) {
  const absl::StatusOr<json> result = session().CallTool(tool, arguments, kAnswerTimeout);
  EXPECT_OK(result) << tool << arguments.dump();
  if (!result.ok()) return "";
  EXPECT_TRUE(result->value("isError", false))
      << tool << arguments.dump() << " → " << result->dump();
  return result->at("content").at(0).at("text");
}

json DeskTest::Run(const std::string& command, const json& more) {
  json arguments = {{"command", command}, {"image", kBusybox}};
  arguments.update(more);
  return Call("run", arguments);
}

}  // namespace contree::testing_harness
