#ifndef TESTS_HARNESS_DESK_H_
#define TESTS_HARNESS_DESK_H_

// A desk: contree-mcp on a state directory of the test's own, spoken to over stdio as an agent
// does.

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "common/testing/temp_directory.h"
#include "gtest/gtest.h"
#include "standalone/mcp_stdio_client.h"

namespace contree::testing_harness {

inline constexpr absl::Duration kAnswerTimeout = absl::Seconds(60);
inline constexpr char kBusybox[] = "tag:busybox:latest";

// Tests of one suite share a desk: one program, one backend.
class DeskTest : public testing::Test {
 protected:
  static void SetUpTestSuite();
  static void TearDownTestSuite();

  // Another contree-mcp on the same state directory, initialized.
  static std::unique_ptr<standalone::McpStdioClient> NewSession();

  static standalone::McpStdioClient& session() { return *session_; }
  static const std::string& state_dir() { return state_->path(); }

  // tools/call that must not be an error; returns structuredContent and checks that the text says
  // the same.
  static nlohmann::json Call(const std::string& tool, const nlohmann::json& arguments) {
    return CallOn(session(), tool, arguments);
  }
  static nlohmann::json CallOn(standalone::McpStdioClient& session, const std::string& tool,
                               const nlohmann::json& arguments);
  // tools/call that must be an isError result; returns its text.
  static std::string CallForError(const std::string& tool, const nlohmann::json& arguments);
  // `run` of a shell command on busybox with more arguments.
  static nlohmann::json Run(const std::string& command,
                            const nlohmann::json& more = nlohmann::json::object());

 private:
  static std::unique_ptr<TempDirectory> state_;
  static std::unique_ptr<standalone::McpStdioClient> session_;
};

}  // namespace contree::testing_harness

#endif  // TESTS_HARNESS_DESK_H_
