// What counting costs a gRPC server: the same calls over loopback to one that counts and to one
// that does not, by turns. CPU is that of the whole process, client and server, per call: what to
// compare on a machine that does other things as well.
//   bazel run -c opt //common/server:call_meter_benchmark -- --benchmark_repetitions=10
//       --benchmark_enable_random_interleaving --benchmark_report_aggregates_only

#include <benchmark/benchmark.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/rpc/grpc_context.h"
#include "common/server/call_meter.h"
#include "contree/auth/v1/registry_auth_service.grpc.pb.h"

namespace contree {
namespace {

using auth::v1::RegistryAuthService;

class EmptyAnswers final : public RegistryAuthService::Service {
  grpc::Status ListCredentials(grpc::ServerContext* context,
                               const auth::v1::ListCredentialsRequest*,
                               auth::v1::ListCredentialsResponse*) override {
    benchmark::DoNotOptimize(IncomingCall(*context));  // as every handler of ours begins
    return grpc::Status::OK;
  }
};

enum class Hook { kNone, kEmpty, kMeter };

class Nothing final : public grpc::experimental::Interceptor {
  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    methods->Proceed();
  }
};

// What gRPC itself takes for an interceptor.
class NothingFactory final : public grpc::experimental::ServerInterceptorFactoryInterface {
  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo*) override {
    return new Nothing;
  }
};

struct Served {
  explicit Served(Hook hook) {
    grpc::ServerBuilder builder;
    builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MIN_POLLERS, 2);
    builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MAX_POLLERS, 16);
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service);
    if (hook != Hook::kNone) {
      std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> factories;
      factories.push_back(hook == Hook::kMeter ? MakeCallMeter()
                                               : std::make_unique<NothingFactory>());
      builder.experimental().SetInterceptorCreators(std::move(factories));
    }
    server = builder.BuildAndStart();
    stub = RegistryAuthService::NewStub(
        grpc::CreateChannel(absl::StrCat("127.0.0.1:", port), grpc::InsecureChannelCredentials()));
  }

  EmptyAnswers service;
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<RegistryAuthService::Stub> stub;
};

void Call(benchmark::State& state, Served& served) {
  RegistryAuthService::Stub& stub = *served.stub;
  const auth::v1::ListCredentialsRequest request;
  for (auto _ : state) {
    grpc::ClientContext context;
    auth::v1::ListCredentialsResponse response;
    const grpc::Status status = stub.ListCredentials(&context, request, &response);
    if (!status.ok()) state.SkipWithError(status.error_message().c_str());
  }
  state.SetItemsProcessed(state.iterations());
}

void Counted(benchmark::State& state) {
  static auto& served = *new Served(Hook::kMeter);
  Call(state, served);
}
void Intercepted(benchmark::State& state) {
  static auto& served = *new Served(Hook::kEmpty);
  Call(state, served);
}
void Plain(benchmark::State& state) {
  static auto& served = *new Served(Hook::kNone);
  Call(state, served);
}

BENCHMARK(Counted)->Threads(1)->Threads(4)->MeasureProcessCPUTime()->UseRealTime();
BENCHMARK(Intercepted)->Threads(1)->Threads(4)->MeasureProcessCPUTime()->UseRealTime();
BENCHMARK(Plain)->Threads(1)->Threads(4)->MeasureProcessCPUTime()->UseRealTime();

}  // namespace
}  // namespace contree

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);  // as grpc_server.cc does
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
