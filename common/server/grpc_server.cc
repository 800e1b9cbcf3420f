#include "common/server/grpc_server.h"

#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/support/server_interceptor.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "common/server/call_authentication.h"
#include "common/server/call_meter.h"
#include "common/server/listen_address.h"
#include "common/status/status_macros.h"
#include "common/telemetry/logging.h"

namespace contree {

// When calls have come, and what handlers that refuse them are to say. Thread-safe.
class CallsOfServer {
 public:
  void NoteArrival() { last_arrival_ns_ = absl::GetCurrentTimeNanos(); }
  absl::Time last_arrival() const { return absl::FromUnixNanos(last_arrival_ns_); }
  void Retire() { is_retiring_ = true; }
  bool is_retiring() const { return is_retiring_; }

 private:
  std::atomic<int64_t> last_arrival_ns_ = 0;
  std::atomic<bool> is_retiring_ = false;
};

namespace {

using grpc::experimental::InterceptionHookPoints;

constexpr absl::Duration kQuiet = absl::Milliseconds(250);
constexpr absl::Duration kLongestRetirement = absl::Seconds(3);

class CallNoting final : public grpc::experimental::Interceptor {
 public:
  explicit CallNoting(std::shared_ptr<CallsOfServer> calls) : calls_(std::move(calls)) {}

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS) &&
        methods->GetSendStatus().error_code() == grpc::StatusCode::UNAVAILABLE &&
        !calls_->is_retiring()) {
      methods->GetSendTrailingMetadata()->emplace(kRetryPushback, "-1");
    }
    methods->Proceed();
  }

 private:
  const std::shared_ptr<CallsOfServer> calls_;
};

class CallNotingFactory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit CallNotingFactory(std::shared_ptr<CallsOfServer> calls) : calls_(std::move(calls)) {}

  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* call) override {
    if (!absl::StartsWith(call->method(), "/grpc.health.")) calls_->NoteArrival();
    return new CallNoting(calls_);
  }

 private:
  const std::shared_ptr<CallsOfServer> calls_;
};

void LogFromGrpc(gpr_log_func_args* arguments) {
  const LogLevel level =
      arguments->severity == GPR_LOG_SEVERITY_ERROR ? LogLevel::kWarning : LogLevel::kDebug;
  Log(level, arguments->message, {{"source", "grpc"}});
}

// Switches of the whole process; they take effect on servers built later.
void SetUpGrpc() {
  static std::once_flag once;
  std::call_once(once, [] {
#ifdef NDEBUG
    // Debian builds Abseil without NDEBUG, so that every lock, gRPC's own included, is entered into
    // one graph of the whole process behind one lock, to find deadlocks. Tests keep that.
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
#endif
    gpr_set_log_function(LogFromGrpc);
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  });
}

// What a client may send ahead of its reader, in one stream. By default gRPC lets a fast client go
// on to 16 MiB of each, and more in between.
constexpr int kReadAheadBytes = 4 << 20;

void BoundReadAhead(grpc::ServerBuilder& builder) {
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kReadAheadBytes);
}

void SetKeepalive(grpc::ServerBuilder& builder) {
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  // Clients may ping as often as that without being taken for abusers.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
  // Two servers on one port would share its connections silently.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
}

// PermissionDenied: others than this machine would reach a server that does not ask who calls, or
// whose tokens could be overheard.
absl::Status CheckReach(const GrpcServerOptions& options, const std::string& host) {
  if (IsLoopback(host)) return absl::OkStatus();
  std::vector<absl::string_view> missing;
  if (options.authenticator == nullptr) missing.emplace_back("--auth=keys or --auth=jwt");
  if (options.tls.certificate.empty()) missing.emplace_back("--tls-cert and --tls-key");
  if (missing.empty()) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat(
      "refusing to listen on ", host, ": beyond this machine it takes authentication and TLS, and ",
      absl::StrJoin(missing, ", and "), missing.size() == 1 ? " is missing" : " are missing",
      "; add them, or listen on 127.0.0.1 or unix:/path"));
}

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> CredentialsOf(
    const GrpcServerOptions& options, bool is_socket) {
  std::shared_ptr<grpc::ServerCredentials> credentials;
  if (is_socket) {
    credentials = grpc::experimental::LocalServerCredentials(UDS);
  } else if (options.tls.empty()) {
    credentials = grpc::experimental::LocalServerCredentials(LOCAL_TCP);
  } else {
    ASSIGN_OR_RETURN(credentials, TlsServerCredentialsOf(options.tls));
  }
  credentials->SetAuthMetadataProcessor(MakeCallGuard(options.authenticator, options.limits));
  return credentials;
}

std::unique_ptr<grpc::Server> BuildAndStart(grpc::ServerBuilder& builder,
                                            const std::optional<std::string>& socket_path) {
  if (!socket_path.has_value()) return builder.BuildAndStart();
  // No moment in which others could connect.
  const mode_t mask = umask(0117);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  umask(mask);
  return server;
}

}  // namespace

GrpcServer::GrpcServer(std::unique_ptr<grpc::Server> server, std::string address,
                       std::shared_ptr<CallsOfServer> calls)
    : server_(std::move(server)), calls_(std::move(calls)), address_(std::move(address)) {}

GrpcServer::~GrpcServer() { Drain(absl::ZeroDuration()); }

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(
    const GrpcServerOptions& options, const std::vector<grpc::Service*>& services) {
  SetUpGrpc();
  grpc::ServerBuilder builder;
  SetKeepalive(builder);
  BoundReadAhead(builder);
  builder.SetMaxReceiveMessageSize(kMaxGrpcMessageBytes);
  builder.SetMaxSendMessageSize(kMaxGrpcMessageBytes);
  // By default nearly every call of the synchronous API makes a thread and ends one.
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MIN_POLLERS, 2);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MAX_POLLERS, 16);
  int port = 0;
  ListenAddress listen;
  std::optional<std::string> socket_path;
  if (!options.listen.empty()) {
    ASSIGN_OR_RETURN(socket_path, ParseUnixAddress(options.listen));
    if (socket_path.has_value()) {
      RETURN_IF_ERROR(ClearSocketPath(*socket_path));
    } else {
      ASSIGN_OR_RETURN(listen, ParseListenAddress(options.listen));
      RETURN_IF_ERROR(CheckReach(options, listen.host));
    }
    ASSIGN_OR_RETURN(const std::shared_ptr<grpc::ServerCredentials> credentials,
                     CredentialsOf(options, socket_path.has_value()));
    builder.AddListeningPort(
        socket_path.has_value() ? options.listen : FormatAddress(listen.host, listen.port),
        credentials, &port);
  }
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> factories;
  if (options.authenticator != nullptr)
    factories.push_back(MakeCallerTelling(options.authenticator));
  factories.push_back(MakeCallMeter());
  auto calls = std::make_shared<CallsOfServer>();
  factories.push_back(std::make_unique<CallNotingFactory>(calls));
  builder.experimental().SetInterceptorCreators(std::move(factories));
  for (grpc::Service* service : services) builder.RegisterService(service);
  std::unique_ptr<grpc::Server> server = BuildAndStart(builder, socket_path);
  if (server == nullptr || (!options.listen.empty() && port == 0)) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", options.listen,
                     ": is another program using the port? Port 0 takes a free one"));
  }
  for (const std::string& name : options.health_names)
    server->GetHealthCheckService()->SetServingStatus(name, true);
  const bool is_port = !options.listen.empty() && !socket_path.has_value();
  return std::unique_ptr<GrpcServer>(
      new GrpcServer(std::move(server), is_port ? FormatAddress(listen.host, port) : options.listen,
                     std::move(calls)));
}

std::shared_ptr<grpc::Channel> GrpcServer::InProcessChannel() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxGrpcMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxGrpcMessageBytes);
  return server_->InProcessChannel(arguments);
}

void GrpcServer::Retire() {
  const absl::Time begin = absl::Now();
  calls_->Retire();
  server_->GetHealthCheckService()->SetServingStatus(false);
  while (true) {
    const absl::Time quiet_at = std::max(begin, calls_->last_arrival()) + kQuiet;
    const absl::Time until = std::min(quiet_at, begin + kLongestRetirement);
    if (absl::Now() >= until) return;
    absl::SleepFor(until - absl::Now());
  }
}

void GrpcServer::Drain(absl::Duration grace) {
  calls_->Retire();
  server_->GetHealthCheckService()->SetServingStatus(false);
  server_->Shutdown(absl::ToChronoTime(absl::Now() + grace));
  server_->Wait();
}

}  // namespace contree
