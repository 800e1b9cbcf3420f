#include "common/rpc/grpc_context.h"

#include <grpcpp/server_builder.h>

#include <memory>

#include "absl/time/clock.h"
#include "common/rpc/trace_context.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

constexpr char kTraceParent[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

// Notes who called it.
class NotingService final : public Health::Service {
 public:
  grpc::Status Check(grpc::ServerContext* context, const HealthCheckRequest*,
                     HealthCheckResponse*) override {
    arrived = IncomingCall(*context);
    return grpc::Status::OK;
  }
  CallContext arrived;
};

class GrpcContextTest : public testing::Test {
 protected:
  GrpcContextTest() {
    grpc::ServerBuilder builder;
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = Health::NewStub(server_->InProcessChannel({}));
  }

  CallContext Send(const CallContext& context) {
    OutgoingCall call(context);
    HealthCheckResponse response;
    EXPECT_TRUE(stub_->Check(call.client_context(), {}, &response).ok());
    return service_.arrived;
  }

  NotingService service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Health::Stub> stub_;
};

TEST_F(GrpcContextTest, CarriesTheRequestIdAndTheTrace) {
  CallContext context = NewCallContext(absl::Seconds(60));
  context.trace = {kTraceParent, "vendor=1", "user=7"};
  const CallContext arrived = Send(context);
  EXPECT_EQ(arrived.request_id, context.request_id);
  EXPECT_EQ(arrived.trace, context.trace);
  EXPECT_LT(arrived.deadline, absl::Now() + absl::Seconds(61));
}

TEST_F(GrpcContextTest, WithoutATraceThereIsNone) {
  EXPECT_EQ(Send(NewCallContext(absl::Seconds(60))).trace, TraceContext());
}

TEST_F(GrpcContextTest, ATraceThatIsNoneIsNotTakenOver) {
  CallContext context = NewCallContext(absl::Seconds(60));
  context.trace = {"rubbish", "vendor=1", "user=7"};
  EXPECT_EQ(Send(context).trace, TraceContext());
}

TEST(TraceContextTest, TakesWhatIsOfTheRightForm) {
  EXPECT_EQ(CleanTraceContext(kTraceParent, "", "").traceparent, kTraceParent);
  const std::string later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more";
  EXPECT_EQ(CleanTraceContext(later, "", "").traceparent, later);
}

TEST(TraceContextTest, RefusesWhatIsNot) {
  for (const char* text : {"", "00", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
                           "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                           "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
                           "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
                           "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-\r\nx: y"}) {
    EXPECT_EQ(CleanTraceContext(text, "a=1", "b=2"), TraceContext()) << text;
  }
}

TEST(TraceContextTest, DropsWhatCannotBeSentOn) {
  EXPECT_EQ(CleanTraceContext(kTraceParent, std::string(513, 'a'), "").tracestate, "");
  EXPECT_EQ(CleanTraceContext(kTraceParent, "", "a=1\r\nHost: x").baggage, "");
  EXPECT_EQ(CleanTraceContext(kTraceParent, "", "a=\xc3\xa9").baggage, "");
}

}  // namespace
}  // namespace contree
