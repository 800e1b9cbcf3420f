#include "common/server/server_program.h"

#include <grpcpp/grpcpp.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/server/termination.h"
#include "common/testing/temp_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

// Ends the program as soon as it is asked for its services; notes what happened.
class EndingParts final : public ServedParts {
 public:
  explicit EndingParts(std::string* events) : events_(events) {}
  std::vector<grpc::Service*> services() override {
    *events_ += "services;";
    RequestTermination();
    return {};
  }
  void Stop() override { *events_ += "stop;"; }

 private:
  std::string* const events_;
};

int RunWith(const ServerProgram& program, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "program");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  return RunServerProgram(static_cast<int>(argv.size()), argv.data(), program);
}

TEST(ServerProgramTest, OpensServesAndDrains) {
  TempDirectory temp;
  std::string events;
  std::string own;
  const ServerProgram program = {
      .name = "p",
      .description = "d",
      .add_flags = [&own](CLI::App& app) { app.add_option("--own", own); },
      .open = [&](const std::string& state_dir) -> absl::StatusOr<std::unique_ptr<ServedParts>> {
        events += "open " + state_dir + ";";
        return std::make_unique<EndingParts>(&events);
      }};
  EXPECT_EQ(RunWith(program, {"--state-dir", temp.File("s"), "--own", "x"}), 0);
  EXPECT_EQ(events, "open " + temp.File("s") + ";services;stop;");
  EXPECT_EQ(own, "x");
  struct stat info {};
  ASSERT_EQ(stat(temp.File("s").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
}

TEST(ServerProgramTest, SaysByItsExitCodeWhyItDidNotStart) {
  TempDirectory temp;
  std::string events;
  ServerProgram program = {
      .name = "p",
      .description = "d",
      .open = [&](const std::string&) -> absl::StatusOr<std::unique_ptr<ServedParts>> {
        return absl::DataLossError("damaged");
      }};
  EXPECT_EQ(RunWith(program, {"--state-dir", temp.File("s")}), 1);
  EXPECT_EQ(RunWith(program, {"--no-such-flag"}), 2);
  EXPECT_EQ(RunWith(program, {"--state-dir", temp.File("s"), "--log-level", "loud"}), 2);
  EXPECT_EQ(RunWith(program, {"--help"}), 0);
  program.open = [&](const std::string&) -> absl::StatusOr<std::unique_ptr<ServedParts>> {
    return std::make_unique<ServedParts>();
  };
  EXPECT_EQ(RunWith(program, {"--state-dir", temp.File("s"), "--listen", "192.0.2.1:1"}), 1);
}

}  // namespace
}  // namespace contree
