// contree-service between a gRPC client and a platform whose latencies are set (it runs in this
// process): how soon the end of an operation is known, what a thousand followed operations cost,
// how fast small and large files pass through. Beside each figure stands a yardstick measured in
// the same run, because machines differ and are noisy: quote the ratio.
//
//   service_bench PROGRAM [quick]

#include <grpcpp/grpcpp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "bench/fake_platform.h"
#include "bench/measurement.h"
#include "common/files/unique_fd.h"
#include "common/http/httplib_http_client.h"
#include "common/rpc/grpc_context.h"
#include "common/status/grpc_status.h"
#include "common/status/status_macros.h"
#include "common/testing/temp_directory.h"
#include "contree/v1/contree_service.grpc.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "tests/harness/server_process.h"

namespace contree::bench {
namespace {

constexpr char kImage[] = "95ba4f1b-a511-325b-8000-000000000002";
constexpr absl::Duration kTimeout = absl::Seconds(120);
constexpr size_t kPieceBytes = 256 << 10;

struct Amounts {
  int completions = 500;
  int followed = 1000;
  absl::Duration cached_reads = absl::Seconds(5);
  int64_t large_file = int64_t{1} << 30;
};
constexpr Amounts kQuick = {.completions = 50,
                            .followed = 1000,
                            .cached_reads = absl::Seconds(1),
                            .large_file = int64_t{128} << 20};

// A port that was free a moment ago.
int FreePort() {
  const UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size) != 0) return 0;
  getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

// The largest resident size of a process while this lives.
class PeakMemory {
 public:
  explicit PeakMemory(pid_t pid) : begin_(ResidentMegabytes(pid)), peak_(begin_) {
    thread_ = std::jthread([this, pid](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        peak_ = std::max(peak_.load(), ResidentMegabytes(pid));
        absl::SleepFor(absl::Milliseconds(10));
      }
    });
  }
  double growth() const { return peak_ - begin_; }

 private:
  const double begin_;
  std::atomic<double> peak_;
  std::jthread thread_;
};

// Calls `once` from several threads for a while; calls a second. The first error ends it.
absl::StatusOr<double> CallsPerSecond(int threads, absl::Duration duration,
                                      const std::function<absl::Status(int thread)>& once) {
  std::atomic<int64_t> calls = 0;
  std::vector<absl::Status> statuses(static_cast<size_t>(threads));
  const absl::Time begin = absl::Now();
  {
    std::vector<std::jthread> workers;
    for (int i = 0; i < threads; ++i) {
      workers.emplace_back([&, i] {
        while (absl::Now() - begin < duration) {
          absl::Status status = once(i);
          if (!status.ok()) {
            statuses[static_cast<size_t>(i)] = std::move(status);
            return;
          }
          ++calls;
        }
      });
    }
  }
  for (const absl::Status& status : statuses) RETURN_IF_ERROR(status);
  return static_cast<double>(calls) / absl::ToDoubleSeconds(absl::Now() - begin);
}

class ServiceBench {
 public:
  static absl::StatusOr<std::unique_ptr<ServiceBench>> Start(const std::string& program,
                                                             const Amounts& amounts) {
    std::unique_ptr<ServiceBench> bench(new ServiceBench(amounts));
    ASSIGN_OR_RETURN(bench->platform_, FakePlatform::Start());
    ASSIGN_OR_RETURN(bench->http_,
                     HttplibHttpClient::Create({.base_url = bench->platform_->url()}));
    bench->address_ = absl::StrCat("127.0.0.1:", FreePort());
    ASSIGN_OR_RETURN(bench->process_,
                     testing_harness::ServerProcess::Start(
                         {program, "--listen", bench->address_, "--state-dir", bench->state_.path(),
                          "--url", bench->platform_->url(), "--log-level", "warning"},
                         {{"CONTREE_MCP_TOKEN", "bench"}}));
    bench->channel_ = bench->NewChannel();
    if (!bench->channel_->WaitForConnected(std::chrono::system_clock::now() +
                                           std::chrono::seconds(30))) {
      return absl::UnavailableError(
          absl::StrCat("contree-service does not come up: ", bench->process_->Output()));
    }
    bench->stub_ = v1::ContreeService::NewStub(bench->channel_);
    return bench;
  }

  absl::Status Run() {
    RETURN_IF_ERROR(TimeCompletions(absl::ZeroDuration(), "p50 under 2 ms, p99 under 10 ms"));
    RETURN_IF_ERROR(TimeCompletions(absl::Milliseconds(5), ""));
    RETURN_IF_ERROR(FollowMany());
    RETURN_IF_ERROR(ReadCached());
    RETURN_IF_ERROR(Download());
    return Upload();
  }

 private:
  explicit ServiceBench(const Amounts& amounts) : amounts_(amounts) {}

  // Each has a connection of its own.
  std::shared_ptr<grpc::Channel> NewChannel() const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(address_, grpc::InsecureChannelCredentials(), arguments);
  }

  absl::StatusOr<std::string> StartOperation() {
    v1::RunInstanceRequest request;
    request.set_command("true");
    request.set_image(kImage);
    OutgoingCall call(NewCallContext(kTimeout));
    v1::RunInstanceResponse response;
    const grpc::Status status = stub_->RunInstance(call.client_context(), request, &response);
    if (!status.ok()) return FromGrpcStatus(status);
    return response.operation_id();
  }

  absl::Status CallNothing(grpc::health::v1::Health::Stub& stub) {
    OutgoingCall call(NewCallContext(kTimeout));
    grpc::health::v1::HealthCheckResponse response;
    return FromGrpcStatus(stub.Check(call.client_context(), {}, &response));
  }

  // From the moment the platform says that an operation has ended to the gRPC client's knowing it,
  // while 100 operations run.
  absl::Status TimeCompletions(absl::Duration latency, absl::string_view target) {
    constexpr int kRunning = 100;
    const auto health = grpc::health::v1::Health::NewStub(channel_);
    std::deque<std::string> running;
    while (running.size() < kRunning) {
      ASSIGN_OR_RETURN(running.emplace_back(), StartOperation());
    }
    platform_->set_latency(latency);
    const absl::Cleanup quick_again = [&] { platform_->set_latency(absl::ZeroDuration()); };
    ASSIGN_OR_RETURN(
        const Distribution exchange,
        Measure(amounts_.completions, [&]() -> absl::StatusOr<absl::Duration> {
          const absl::Time begin = absl::Now();
          RETURN_IF_ERROR(CallNothing(*health));
          RETURN_IF_ERROR(SendHttp(*http_, {.target = "/v1/operations/" + running.front()},
                                   NewCallContext(kTimeout), 1 << 20)
                              .status());
          return absl::Now() - begin;
        }));
    const auto once = [&]() -> absl::StatusOr<absl::Duration> {
      ASSIGN_OR_RETURN(running.emplace_back(), StartOperation());
      v1::WatchOperationRequest request;
      request.set_operation_id(running.front());
      OutgoingCall call(NewCallContext(kTimeout));
      const auto reader = stub_->WatchOperation(call.client_context(), request);
      v1::WatchOperationResponse response;
      if (!reader->Read(&response)) return FromGrpcStatus(reader->Finish());
      const absl::Time begin = absl::Now();
      platform_->Complete(running.front());
      while (reader->Read(&response) && !response.event().has_completed()) {
      }
      const absl::Duration time = absl::Now() - begin;
      if (!response.event().has_completed()) return FromGrpcStatus(reader->Finish());
      while (reader->Read(&response)) {
      }
      running.pop_front();
      return time;
    };
    ASSIGN_OR_RETURN(const Distribution completion, Measure(amounts_.completions, once));
    PrintTimes(absl::StrFormat("completion to the client, latency %d ms",
                               absl::ToInt64Milliseconds(latency)),
               completion, "a gRPC call and an HTTP exchange", exchange, target);
    for (const std::string& id : running) platform_->Complete(id);
    return AwaitStreams(0);
  }

  absl::Status AwaitStreams(int count) {
    const absl::Time give_up = absl::Now() + kTimeout;
    while (platform_->open_streams() != count) {
      if (absl::Now() > give_up) {
        return absl::DeadlineExceededError(
            absl::StrCat(platform_->open_streams(), " event streams are open instead of ", count));
      }
      absl::SleepFor(absl::Milliseconds(5));
    }
    return absl::OkStatus();
  }

  absl::Status FollowMany() {
    const double before = ResidentMegabytes(process_->pid());
    std::vector<std::string> ids;
    const absl::Time begin = absl::Now();
    for (int i = 0; i < amounts_.followed; ++i) {
      ASSIGN_OR_RETURN(ids.emplace_back(), StartOperation());
    }
    RETURN_IF_ERROR(AwaitStreams(amounts_.followed));
    PrintFigure(absl::StrCat("starting ", amounts_.followed, " operations, one by one"),
                absl::ToDoubleMilliseconds(absl::Now() - begin) / amounts_.followed, "ms each", "",
                "");
    PrintFigure(absl::StrCat("resident with ", amounts_.followed, " followed"),
                ResidentMegabytes(process_->pid()), "MB", absl::StrFormat("%.1f MB before", before),
                "under 200 MB");
    RETURN_IF_ERROR(PrintCores("processor, followed and silent", [] {}));
    RETURN_IF_ERROR(
        PrintCores(absl::StrCat("processor, a line a second from each of ", amounts_.followed),
                   [this] { platform_->SendLineToAll(); }));
    const absl::Time end = absl::Now();
    for (const std::string& id : ids) platform_->Complete(id);
    RETURN_IF_ERROR(AwaitStreams(0));
    v1::WatchOperationsRequest request;
    for (const std::string& id : ids) request.add_operation_ids(id);
    OutgoingCall call(NewCallContext(kTimeout));
    const auto reader = stub_->WatchOperations(call.client_context(), request);
    v1::WatchOperationsResponse response;
    int answers = 0;
    while (reader->Read(&response)) answers += response.has_operation() ? 1 : 0;
    if (answers != amounts_.followed)
      return absl::InternalError(absl::StrCat("only ", answers, " operations were seen to end"));
    PrintFigure("all of them end at once and are told",
                absl::ToDoubleMilliseconds(absl::Now() - end), "ms", "", "");
    return absl::OkStatus();
  }

  absl::Status PrintCores(absl::string_view what, const std::function<void()>& each_second) {
    constexpr int kSeconds = 3;
    const absl::Duration before = ProcessorTime(process_->pid());
    const absl::Time begin = absl::Now();
    for (int i = 0; i < kSeconds; ++i) {
      each_second();
      absl::SleepFor(begin + absl::Seconds(i + 1) - absl::Now());
    }
    const absl::Duration used = ProcessorTime(process_->pid()) - before;
    PrintFigure(what, 100 * absl::FDivDuration(used, absl::Now() - begin), "% of a core", "",
                "under 100 %");
    return absl::OkStatus();
  }

  absl::StatusOr<int64_t> ReadFile(v1::ContreeService::Stub& stub, int64_t bytes) {
    v1::ReadFileRequest request;
    request.set_image(kImage);
    request.set_path(FakePlatform::PathOfFile(bytes));
    OutgoingCall call(NewCallContext(kTimeout));
    const auto reader = stub.ReadFile(call.client_context(), request);
    v1::ReadFileResponse response;
    int64_t size = 0;
    while (reader->Read(&response)) size += static_cast<int64_t>(response.data().size());
    RETURN_IF_ERROR(FromGrpcStatus(reader->Finish()));
    if (size != bytes) return absl::DataLossError(absl::StrCat(size, " bytes came"));
    return size;
  }

  absl::Status ReadCached() {
    constexpr int kThreads = 8;
    std::vector<std::unique_ptr<v1::ContreeService::Stub>> stubs;
    std::vector<std::unique_ptr<grpc::health::v1::Health::Stub>> healths;
    for (int i = 0; i < kThreads; ++i) {
      const auto channel = NewChannel();
      stubs.push_back(v1::ContreeService::NewStub(channel));
      healths.push_back(grpc::health::v1::Health::NewStub(channel));
    }
    const auto health = [&](int thread) {
      return CallNothing(*healths[static_cast<size_t>(thread)]);
    };
    const auto read = [&](int thread) {
      return ReadFile(*stubs[static_cast<size_t>(thread)], 4096).status();
    };
    RETURN_IF_ERROR(CallsPerSecond(kThreads, absl::Milliseconds(200), health).status());
    ASSIGN_OR_RETURN(const double nothing, CallsPerSecond(kThreads, amounts_.cached_reads, health));
    RETURN_IF_ERROR(CallsPerSecond(kThreads, absl::Milliseconds(200), read).status());
    const absl::Duration used_before = ProcessorTime(process_->pid());
    ASSIGN_OR_RETURN(const double reads, CallsPerSecond(kThreads, amounts_.cached_reads, read));
    const absl::Duration used = ProcessorTime(process_->pid()) - used_before;
    PrintFigure("cached 4 KiB files read", reads, "calls/s",
                absl::StrFormat("%.2f x a call that does nothing (%.0f calls/s), client included",
                                reads / nothing, nothing),
                "15000 calls/s");
    const double microseconds =
        absl::ToDoubleMicroseconds(used) / (reads * absl::ToDoubleSeconds(amounts_.cached_reads));
    PrintFigure(
        "  processor time of the service for each", microseconds, "us",
        absl::StrFormat("%.0f calls/s on two cores without the client's part", 2e6 / microseconds),
        "");
    return absl::OkStatus();
  }

  void PrintTransfer(absl::string_view what, absl::Duration time, absl::Duration yardstick,
                     double growth) {
    const double megabytes = static_cast<double>(amounts_.large_file) / 1e6;
    const double rate = megabytes / absl::ToDoubleSeconds(time);
    const double bare = megabytes / absl::ToDoubleSeconds(yardstick);
    PrintFigure(
        what, rate, "MB/s",
        absl::StrFormat("%.2f x the same without the service (%.0f MB/s)", rate / bare, bare),
        "over 500 MB/s");
    PrintFigure("  resident memory grows by", growth, "MB", "", "at most 32 MB");
  }

  absl::Status Download() {
    const absl::Time begin_bare = absl::Now();
    RETURN_IF_ERROR(http_->Exchange(
        {.target = absl::StrCat("/v1/inspect/", kImage,
                                "/download?path=", FakePlatform::PathOfFile(amounts_.large_file))},
        NewCallContext(kTimeout), {.on_data = [](absl::string_view) { return absl::OkStatus(); }}));
    const absl::Duration bare = absl::Now() - begin_bare;
    const PeakMemory memory(process_->pid());
    const absl::Time begin = absl::Now();
    RETURN_IF_ERROR(ReadFile(*stub_, amounts_.large_file).status());
    PrintTransfer(absl::StrCat("download of ", amounts_.large_file >> 20, " MiB"),
                  absl::Now() - begin, bare, memory.growth());
    return absl::OkStatus();
  }

  absl::Status Upload() {
    const std::string piece(kPieceBytes, 'x');
    int64_t left = amounts_.large_file;
    HttpRequest request = {.method = "POST", .target = "/v1/files"};
    request.content_type = "application/octet-stream";
    request.body_size = static_cast<size_t>(left);
    request.next_body_piece = [&]() -> absl::StatusOr<std::string> {
      if (left == 0) return std::string();
      left -= static_cast<int64_t>(kPieceBytes);
      return piece;
    };
    const absl::Time begin_bare = absl::Now();
    RETURN_IF_ERROR(SendHttp(*http_, request, NewCallContext(kTimeout), 1 << 20).status());
    const absl::Duration bare = absl::Now() - begin_bare;

    const PeakMemory memory(process_->pid());
    const absl::Time begin = absl::Now();
    OutgoingCall call(NewCallContext(kTimeout));
    v1::UploadFileResponse response;
    const auto writer = stub_->UploadFile(call.client_context(), &response);
    v1::UploadFileRequest message;
    message.mutable_header()->set_size(amounts_.large_file);
    writer->Write(message);
    message.set_data(piece);
    for (int64_t sent = 0; sent < amounts_.large_file; sent += kPieceBytes) {
      if (!writer->Write(message)) break;
    }
    writer->WritesDone();
    RETURN_IF_ERROR(FromGrpcStatus(writer->Finish()));
    if (response.file().size() != amounts_.large_file)
      return absl::DataLossError(absl::StrCat(response.file().size(), " bytes arrived"));
    PrintTransfer(absl::StrCat("upload of ", amounts_.large_file >> 20, " MiB"),
                  absl::Now() - begin, bare, memory.growth());
    return absl::OkStatus();
  }

  const Amounts amounts_;
  const TempDirectory state_;
  std::unique_ptr<FakePlatform> platform_;
  std::unique_ptr<HttpClient> http_;
  std::string address_;
  std::unique_ptr<testing_harness::ServerProcess> process_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::ContreeService::Stub> stub_;
};

absl::Status Bench(const std::string& program, const Amounts& amounts) {
  ASSIGN_OR_RETURN(const auto bench, ServiceBench::Start(program, amounts));
  return bench->Run();
}

}  // namespace
}  // namespace contree::bench

int main(int argc, char** argv) {
  const bool quick = argc == 3 && std::string(argv[2]) == "quick";
  if (argc < 2 || argc > 3 || (argc == 3 && !quick)) {
    std::cerr << "usage: " << argv[0] << " PROGRAM [quick]" << std::endl;
    return 2;
  }
  // As the programs do: see common/server/grpc_server.cc.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  const absl::Status status =
      contree::bench::Bench(argv[1], quick ? contree::bench::kQuick : contree::bench::Amounts());
  if (!status.ok()) std::cerr << "service_bench: " << status << std::endl;
  return status.ok() ? 0 : 1;
}
