#include "common/server/call_meter.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/rpc/call_log.h"
#include "common/rpc/grpc_context.h"
#include "common/telemetry/log_scope.h"
#include "common/telemetry/logging.h"
#include "common/telemetry/metrics.h"

namespace contree {
namespace {

using grpc::experimental::InterceptionHookPoints;

CounterMetric& Calls() {
  static auto& metric =
      *new CounterMetric("contree_rpc_calls_total", "Calls of the gRPC server that were answered.",
                         {"service", "method", "tenant", "code"});
  return metric;
}

DurationMetric& Durations() {
  static auto& metric = *new DurationMetric(
      "contree_rpc_duration_seconds",
      "From a call's arrival at the gRPC server to its status; of a watch, how long it lasted.",
      {"service", "method"});
  return metric;
}

class CallMeter final : public grpc::experimental::Interceptor {
 public:
  explicit CallMeter(grpc::experimental::ServerRpcInfo* call) : call_(call), began_(absl::Now()) {}

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS))
      Count(methods->GetSendStatus());
    methods->Proceed();
  }

 private:
  void Count(const grpc::Status& status) {
    absl::string_view service = call_->method();
    absl::ConsumePrefix(&service, "/");
    const size_t slash = service.find('/');
    const absl::string_view method =
        slash == absl::string_view::npos ? "" : service.substr(slash + 1);
    service = service.substr(0, slash);
    if (absl::StartsWith(service, "grpc.health.")) return;
    const grpc::ServerContextBase& context = *call_->server_context();
    const std::string code =
        absl::StatusCodeToString(static_cast<absl::StatusCode>(status.error_code()));
    const absl::Duration took = absl::Now() - began_;
    Calls().Add({service, method, TenantOf(context), code});
    Durations().Observe({service, method}, absl::ToDoubleSeconds(took));
    if (IsLogged(LogLevel::kDebug)) LogCall(context, code, took);
  }

  void LogCall(const grpc::ServerContextBase& context, const std::string& code,
               absl::Duration took) const {
    const CallContext call = IncomingCall(context);
    const LogScope ids({{"request_id", std::string(RequestIdOf(context))},
                        {"trace_id", TraceIdOf(call.trace.traceparent)}});
    LogDebug("call", {{"method", call_->method()},
                      {"code", code},
                      {"tenant", call.tenant},
                      {"duration_ms", absl::StrCat(absl::ToDoubleMilliseconds(took))}});
  }

  grpc::experimental::ServerRpcInfo* const call_;
  const absl::Time began_;
};

class CallMeterFactory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* call) override {
    return new CallMeter(call);
  }
};

}  // namespace

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeCallMeter() {
  return std::make_unique<CallMeterFactory>();
}

}  // namespace contree
