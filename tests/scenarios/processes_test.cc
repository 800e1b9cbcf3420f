// The client of contree-service and the local backend speak the same endpoints about processes in a
// running instance.

#include <memory>
#include <string>

#include "common/http/httplib_http_client.h"
#include "common/rpc/call_context.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "common/time/clock.h"
#include "contree-service/api/contree_api.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "local-backend/testing/backend_process.h"

namespace contree {
namespace {

using testing::HasSubstr;

class ProcessesTest : public testing::Test {
 protected:
  ProcessesTest() : backend_(directory_.File("state"), {}) {
    auto http = HttplibHttpClient::Create({.base_url = backend_.url()});
    EXPECT_OK(http);
    api_ = std::make_unique<ContreeApi>(
        *std::move(http),
        ApiEndpoint{.base_url = backend_.url(), .token = "any", .project = "", .platform = ""},
        &clock_);
  }

  // An instance that runs until a process in it makes /done.
  std::string Start() {
    v1::RunInstanceRequest request;
    request.set_command("echo begins; while [ ! -e /done ]; do sleep 0.02; done; echo ends");
    request.set_shell(true);
    request.set_disposable(true);
    const auto id = api_->StartInstance(request, "tag:busybox:latest", context_);
    EXPECT_OK(id);
    return id.value_or("");
  }
  Subprocess AwaitEnd(const std::string& operation, int64_t spid) {
    while (true) {
      const auto process = api_->GetSubprocess(operation, spid, context_);
      EXPECT_OK(process);
      if (!process.ok() || !process->is_running) return process.value_or(Subprocess());
    }
  }

  TempDirectory directory_;
  BackendProcess backend_;
  RealClock clock_;
  CallContext context_ = NewCallContext(absl::Seconds(60));
  std::unique_ptr<ContreeApi> api_;
};

TEST_F(ProcessesTest, AreStartedFedSeenAndSignalled) {
  const std::string operation = Start();
  const SubprocessSpec reader = {
      .command = "cat", .args = {"-"}, .cwd = "/tmp", .stdin = "one ", .stdin_stays_open = true};
  // At once: the client waits for a sandbox that is not up yet.
  ASSERT_OK_AND_ASSIGN(const int64_t fed, api_->StartSubprocess(operation, reader, context_));
  EXPECT_EQ(fed, 2);
  ASSERT_OK(api_->WriteStdin(operation, fed, "two ", /*close=*/false, context_));
  ASSERT_OK(
      api_->WriteStdin(operation, fed, absl::string_view("\0\xff", 2), /*close=*/true, context_));
  const Subprocess ended = AwaitEnd(operation, fed);
  EXPECT_EQ(ended.result.stdout().data(), std::string("one two \0\xff", 10));
  EXPECT_EQ(ended.result.exit_code(), 0);
  EXPECT_GT(ended.result.resources().max_rss_bytes(), 0);
  EXPECT_THAT(api_->WriteStdin(operation, fed, "late", false, context_),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("ended")));

  ASSERT_OK_AND_ASSIGN(
      const int64_t sleeper,
      api_->StartSubprocess(operation, {.command = "sleep 1000", .shell = true}, context_));
  ASSERT_OK_AND_ASSIGN(const Subprocess running, api_->GetSubprocess(operation, sleeper, context_));
  EXPECT_TRUE(running.is_running);
  ASSERT_OK(api_->SignalSubprocess(operation, sleeper, "", context_));
  EXPECT_EQ(AwaitEnd(operation, sleeper).result.signal(), 15);
  EXPECT_THAT(api_->SignalSubprocess(operation, 99, "KILL", context_),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("99")));

  ASSERT_OK_AND_ASSIGN(const OperationSnapshot meanwhile,
                       api_->GetOperation(operation, context_, /*inflight=*/true));
  EXPECT_EQ(meanwhile.operation.state(), v1::OPERATION_STATE_EXECUTING);
  EXPECT_TRUE(meanwhile.poll_after.has_value());

  ASSERT_OK(api_->StartSubprocess(operation, {.command = "touch", .args = {"/done"}}, context_));
  OperationSnapshot end;
  do {
    ASSERT_OK_AND_ASSIGN(end, api_->GetOperation(operation, context_));
  } while (end.operation.state() == v1::OPERATION_STATE_EXECUTING);
  EXPECT_EQ(end.operation.state(), v1::OPERATION_STATE_SUCCESS);
  EXPECT_EQ(end.operation.instance().stdout().data(), "begins\nends\n");
  EXPECT_THAT(api_->StartSubprocess(operation, {.command = "true"}, context_),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(operation)));
  // What is known of the processes stays.
  ASSERT_OK_AND_ASSIGN(const Subprocess after, api_->GetSubprocess(operation, fed, context_));
  EXPECT_EQ(after.result.stdout().data(), ended.result.stdout().data());
}

}  // namespace
}  // namespace contree
