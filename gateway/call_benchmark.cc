// What the gateway itself adds to a call: JSON-RPC in, gRPC in this process, JSON-RPC out.
//   bazel run -c opt //gateway:call_benchmark

#include <benchmark/benchmark.h>

#include <string>

#include "gateway/mcp/session.h"
#include "gateway/testing/fake_backend.h"

namespace contree::gateway {
namespace {

void Measure(benchmark::State& state, const std::string& request) {
  FakeBackend backend;
  Session session(backend.server(), [](const std::string&) {});
  while (state.KeepRunning()) {
    const Session::Accepted accepted = session.Accept(request);
    benchmark::DoNotOptimize(accepted.call->Run());
  }
}

void Ping(benchmark::State& state) {
  Measure(state, R"({"jsonrpc":"2.0","id":1,"method":"ping"})");
}

void ListTools(benchmark::State& state) {
  Measure(state, R"({"jsonrpc":"2.0","id":1,"method":"tools/list"})");
}

void GetImage(benchmark::State& state) {
  Measure(state, R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_image",)"
                 R"("arguments":{"image":"tag:busybox:latest"}}})");
}

void Run(benchmark::State& state) {
  Measure(state, R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"run",)"
                 R"("arguments":{"command":"echo hi","image":"tag:busybox:latest"}}})");
}

void RefusedArguments(benchmark::State& state) {
  Measure(state,
          R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"run",)"
          R"("arguments":{"command":"echo hi","image":"tag:busybox:latest","timeout":"30"}}})");
}

void FirstCallOfATool(benchmark::State& state) {
  while (state.KeepRunning()) {
    state.PauseTiming();
    FakeBackend backend;
    Session session(backend.server(), [](const std::string&) {});
    state.ResumeTiming();
    benchmark::DoNotOptimize(
        session.Accept(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"run"}})")
            .call->Run());
  }
}

BENCHMARK(Ping);
BENCHMARK(ListTools);
BENCHMARK(GetImage)->UseRealTime();
// Few: the service in memory keeps every operation.
BENCHMARK(Run)->UseRealTime()->Iterations(5000);
BENCHMARK(RefusedArguments);
BENCHMARK(FirstCallOfATool)->Iterations(50);

}  // namespace
}  // namespace contree::gateway

BENCHMARK_MAIN();
