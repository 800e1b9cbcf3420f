// The commands of docs/operations.md for copies and restoring, as they stand there, on a service
// that runs.

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/rpc/grpc_context.h"
#include "common/rpc/service_channel.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "contree/v1/contree_service.grpc.pb.h"
#include "gmock/gmock.h"
#include "local-backend/testing/backend_process.h"
#include "tests/harness/server_process.h"

namespace contree {
namespace {

using testing_harness::Program;
using testing_harness::ServerProcess;

// The block of shell behind <!-- name -->.
std::string CommandsNamed(const std::string& name) {
  std::ifstream file("docs/operations.md");
  std::stringstream text;
  text << file.rdbuf();
  const std::string page = text.str();
  const std::string begin = absl::StrCat("<!-- ", name, " -->\n```sh\n");
  const size_t at = page.find(begin);
  EXPECT_NE(at, std::string::npos) << name;
  if (at == std::string::npos) return "false";
  const size_t first = at + begin.size();
  return page.substr(first, page.find("```", first) - first);
}

class BackupTest : public testing::Test {
 protected:
  BackupTest() : backend_(directory_.File("backend"), {}) {
    setenv("STATE", directory_.File("state").c_str(), 1);
    setenv("COPY", directory_.File("copy").c_str(), 1);
    std::filesystem::create_directory(directory_.File("copy"));
  }

  void StartService() {
    auto service =
        ServerProcess::Start({Program("contree-service/contree-service"), "--listen=127.0.0.1:0",
                              absl::StrCat("--state-dir=", directory_.File("state")),
                              absl::StrCat("--url=", backend_.url())},
                             {{"CONTREE_MCP_TOKEN", "any"}});
    ASSERT_OK(service);
    service_ = *std::move(service);
    const auto address = service_->WaitForLogField("grpc");
    ASSERT_OK(address);
    stub_ = v1::ContreeService::NewStub(ChannelTo(*address));
  }
  void StopService() {
    service_->Signal(SIGTERM);
    EXPECT_THAT(service_->Wait(), IsOkAnd(0));
  }
  static testing::Matcher<const absl::StatusOr<int>&> IsOkAnd(int code) {
    return testing::ResultOf([](const absl::StatusOr<int>& result) { return result.value_or(-1); },
                             code);
  }

  // The image that the command made.
  std::string Run(const std::string& image, const std::string& command) {
    v1::RunInstanceRequest request;
    request.set_image(image);
    request.set_command(command);
    request.set_shell(true);
    v1::RunInstanceResponse started;
    OutgoingCall run(NewCallContext(absl::Seconds(60)));
    EXPECT_TRUE(stub_->RunInstance(run.client_context(), request, &started).ok());
    v1::WatchOperationRequest watch;
    watch.set_operation_id(started.operation_id());
    OutgoingCall call(NewCallContext(absl::Seconds(60)));
    const auto reader = stub_->WatchOperation(call.client_context(), watch);
    v1::WatchOperationResponse event;
    while (reader->Read(&event)) {
    }
    EXPECT_TRUE(reader->Finish().ok());
    v1::GetOperationRequest get;
    get.set_operation_id(started.operation_id());
    v1::GetOperationResponse ended;
    OutgoingCall last(NewCallContext(absl::Seconds(60)));
    EXPECT_TRUE(stub_->GetOperation(last.client_context(), get, &ended).ok());
    return ended.operation().result_image();
  }
  std::string ParentOf(const std::string& image) {
    v1::GetImageLineageRequest request;
    request.set_image(image);
    v1::GetImageLineageResponse response;
    OutgoingCall call(NewCallContext(absl::Seconds(60)));
    const grpc::Status status = stub_->GetImageLineage(call.client_context(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.lineage().parent().command();
  }

  const TempDirectory directory_;
  BackendProcess backend_;
  std::unique_ptr<ServerProcess> service_;
  std::unique_ptr<v1::ContreeService::Stub> stub_;
};

TEST_F(BackupTest, TheCommandsOfTheDocumentationWork) {
  StartService();
  const std::string first = Run("tag:busybox:latest", "echo one >/one");
  ASSERT_NE(first, "");
  ASSERT_EQ(system(CommandsNamed("backup").c_str()), 0);  // while it runs
  const std::string second = Run(first, "echo two >/two");
  EXPECT_EQ(ParentOf(second), "echo two >/two");
  StopService();

  // The disk is lost, and a journal of what is no more with it left.
  const std::string database = directory_.File("state/contree.db");
  std::ofstream(database, std::ios::trunc) << "not a database";
  std::ofstream(database + "-wal") << "rubbish";
  ASSERT_EQ(system(CommandsNamed("restore").c_str()), 0);
  struct stat info;
  ASSERT_EQ(stat(database.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600);
  StartService();
  EXPECT_EQ(ParentOf(first), "echo one >/one");
  StopService();
}

}  // namespace
}  // namespace contree
