#ifndef CONTREE_SERVICE_TESTING_SERVICE_TEST_H_
#define CONTREE_SERVICE_TESTING_SERVICE_TEST_H_

// The whole service behind in-process gRPC, in front of a ScriptedApi.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/limits/tenant_limits.h"
#include "common/rpc/grpc_context.h"
#include "common/server/grpc_server.h"
#include "common/status/grpc_status.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "common/time/clock.h"
#include "contree-service/contree_service.h"
#include "contree-service/testing/scripted_api.h"
#include "contree/v1/contree_service.grpc.pb.h"

namespace contree {

class FixedEndpoint final : public ApiEndpointSource {
 public:
  explicit FixedEndpoint(std::string url) : url_(std::move(url)) {}
  absl::StatusOr<ApiEndpoint> EndpointFor(const CallContext&) override {
    absl::MutexLock lock(&mutex_);
    return ApiEndpoint{.base_url = url_, .token = "sesame", .project = "p1", .platform = "test"};
  }
  // The same platform is reached there from now on.
  void SetUrl(const std::string& url) {
    absl::MutexLock lock(&mutex_);
    url_ = url;
  }

 private:
  absl::Mutex mutex_;
  std::string url_ ABSL_GUARDED_BY(mutex_);
};

// Its token is "sesame", its project "p1".
class ContreeServiceTest : public testing::Test {
 protected:
  ContreeServiceTest() { Start(); }

  void Start() {
    auto service = ContreeService::Create({.state_dir = temp_.File("state"),
                                           .max_stream_silence = max_stream_silence_,
                                           .limits = &limits_},
                                          &endpoint_);
    EXPECT_OK(service);
    service_ = *std::move(service);
    auto server = GrpcServer::Start({.listen = ""}, {service_->grpc_service()});
    EXPECT_OK(server);
    server_ = *std::move(server);
    stub_ = v1::ContreeService::NewStub(server_->InProcessChannel());
  }

  void Restart() {
    stub_.reset();
    service_->Stop();
    server_.reset();
    service_.reset();
    Start();
  }

  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (v1::ContreeService::StubInterface::*method)(
                                    grpc::ClientContext*, const Request&, Response*),
                                const Request& request) {
    const CallContext context = NewCallContext(absl::Seconds(20));
    OutgoingCall call(context);
    Response response;
    const grpc::Status status = (stub_.get()->*method)(call.client_context(), request, &response);
    if (!status.ok()) return FromGrpcStatus(status);
    return response;
  }

  absl::StatusOr<v1::Operation> GetOperation(const std::string& id) {
    v1::GetOperationRequest request;
    request.set_operation_id(id);
    auto response = Call(&v1::ContreeService::StubInterface::GetOperation, request);
    if (!response.ok()) return response.status();
    return response->operation();
  }

  TempDirectory temp_;
  absl::Duration max_stream_silence_ = absl::Seconds(90);  // from the next Restart on
  RealClock clock_;
  TenantLimits limits_{&clock_};  // none, until a test loads some
  ScriptedApi api_;
  FixedEndpoint endpoint_{api_.url()};
  std::unique_ptr<ContreeService> service_;
  std::unique_ptr<GrpcServer> server_;
  std::unique_ptr<v1::ContreeService::Stub> stub_;
};

// One WatchOperation call.
class Watcher {
 public:
  Watcher(v1::ContreeService::Stub& stub, const std::string& id,
          std::optional<int64_t> after = std::nullopt)
      : call_(NewCallContext(absl::Seconds(20))) {
    v1::WatchOperationRequest request;
    request.set_operation_id(id);
    if (after.has_value()) request.set_after_event_id(*after);
    reader_ = stub.WatchOperation(call_.client_context(), request);
  }

  // A word for the next event; "" at the end.
  std::string Next() {
    v1::WatchOperationResponse response;
    if (!reader_->Read(&response)) return "";
    last_ = response.event();
    switch (last_.event_case()) {
      case v1::OperationEvent::kStateChanged:
        return v1::OperationState_Name(last_.state_changed().state())
            .substr(sizeof("OPERATION_STATE_") - 1);
      case v1::OperationEvent::kProcessStarted:
        return "started " + last_.process_started().command();
      case v1::OperationEvent::kOutput:
        return "output " + last_.output().data();
      case v1::OperationEvent::kProcessExited:
        return absl::StrCat("exited ", last_.process_exited().exit_code());
      case v1::OperationEvent::kCompleted:
        return "completed " + last_.completed().instance().stdout().data();
      default:
        return "nothing";
    }
  }
  std::vector<std::string> Rest() {
    std::vector<std::string> all;
    for (std::string word = Next(); !word.empty(); word = Next()) all.push_back(word);
    return all;
  }
  const v1::OperationEvent& last() const { return last_; }
  absl::Status Finish() { return FromGrpcStatus(reader_->Finish()); }
  void Cancel() { call_.client_context()->TryCancel(); }

 private:
  OutgoingCall call_;
  std::unique_ptr<grpc::ClientReader<v1::WatchOperationResponse>> reader_;
  v1::OperationEvent last_;
};

}  // namespace contree

#endif  // CONTREE_SERVICE_TESTING_SERVICE_TEST_H_
