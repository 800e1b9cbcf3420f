#include "local-backend/operations/operations.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status/status_macros.h"
#include "common/telemetry/logging.h"
#include "common/telemetry/metrics.h"
#include "common/uuid/uuid.h"
#include "local-backend/operations/live_operation.h"
#include "local-backend/operations/process_spec.h"

namespace contree {
namespace {

constexpr char kStopped[] = "the backend stopped";

// What blocks before and after a run: mounts, forks, the database, comparing and syncing what was
// written.
constexpr int kInstanceWorkers = 16;

GaugeMetric& Load() {
  static auto& metric = *new GaugeMetric("contree_backend_operations",
                                         "Operations of the backend that wait or run.", {"state"});
  return metric;
}

int64_t BytesOf(const InstanceRequest& request) {
  return static_cast<int64_t>(request.stdin_bytes.size() + request.json.size());
}

}  // namespace

Operations::Operations(const Options& options, ImageStore& images, SandboxLauncher& launcher,
                       OperationStore& store)
    : options_(options),
      images_(images),
      launcher_(launcher),
      store_(store),
      run_layers_(images, options.resolv_conf),
      instances_(options.max_concurrent, std::min(options.max_concurrent, kInstanceWorkers)),
      jobs_(options.max_concurrent_jobs, options.max_concurrent_jobs) {
  for (const char* state : {"waiting", "running"}) Load().Add({state}, 0);
}

Operations::~Operations() { Stop(absl::ZeroDuration()); }

absl::StatusOr<Operation> Operations::Submit(InstanceRequest request) {
  auto live = std::make_shared<Live>();
  live->lane = &instances_;
  Operation& operation = live->operation;
  operation.project = request.project;
  operation.image_uuid = request.image.uuid;
  operation.request = std::move(request.json);
  request.json.clear();
  live->request = std::move(request);
  return Queue(std::move(live));
}

absl::StatusOr<Operation> Operations::Submit(JobRequest request) {
  auto live = std::make_shared<Live>();
  live->lane = &jobs_;
  Operation& operation = live->operation;
  operation.project = request.project;
  operation.kind = request.kind;
  operation.request = request.json;
  live->job = std::move(request);
  return Queue(std::move(live));
}

absl::Status Operations::CheckBounds(const Live& live) const {
  const QueueBounds& bounds = options_.bounds;
  const std::string& project = live.operation.project;
  if (live.lane->running < live.lane->limit) return absl::OkStatus();  // it need not wait
  if (live.lane->queue.size(project) >= static_cast<size_t>(bounds.operations)) {
    return absl::ResourceExhaustedError(
        absl::StrCat(bounds.operations,
                     " operations wait for their turn already; try again when some have ended"));
  }
  if (queued_bytes_ + live.queued_bytes > bounds.bytes) {
    return absl::ResourceExhaustedError(
        "the operations that wait hold as much input as there is room for; try again when some "
        "have ended");
  }
  return absl::OkStatus();
}

absl::StatusOr<Operation> Operations::Queue(LiveRef live) {
  live->queued_bytes =
      BytesOf(live->request) + static_cast<int64_t>(live->operation.request.size());
  live->operation.created_at = absl::Now();
  live->operation.uuid = NewUuidV7(live->operation.created_at);
  const Operation submitted = live->operation;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_) return absl::UnavailableError("the backend is stopping");
    RETURN_IF_ERROR(CheckBounds(*live));
    live_[submitted.uuid] = live;  // Stop waits for it
  }
  const absl::Status inserted = store_.Insert(submitted);
  std::unique_lock<std::mutex> lock(mutex_);
  if (!inserted.ok()) {
    live_.erase(submitted.uuid);
    changed_.notify_all();
    return inserted;
  }
  if (stopping_) {
    lock.unlock();
    Operation ended = submitted;
    ended.status = kFailed;
    ended.error = kStopped;
    Finish(*live, std::move(ended));
    return absl::UnavailableError("the backend is stopping");
  }
  queued_bytes_ += live->queued_bytes;
  Load().Add({"waiting"}, 1);
  live->lane->queue.Push(submitted.project, live);
  Dispatch(*live->lane);
  return submitted;
}

void Operations::Dispatch(Lane& lane) {
  while (lane.running < lane.limit) {
    const std::optional<LiveRef> next = lane.queue.Pop();
    if (!next.has_value()) return;
    const LiveRef& live = *next;
    ++lane.running;
    Load().Add({"waiting"}, -1);
    Load().Add({"running"}, 1);
    queued_bytes_ -= live->queued_bytes;
    live->operation.status = kAssigned;
    live->began = absl::Now();
    lane.workers.Add([this, live] {
      if (live->job.run == nullptr) {
        Launch(live);
      } else {
        RunJob(live);
      }
    });
  }
}

void Operations::SetStatus(Live& live, const char* status) {
  if (const absl::Status stored = store_.SetStatus(live.operation.uuid, status); !stored.ok()) {
    LogWarning("cannot store the status of an operation",
               {{"operation", live.operation.uuid}, {"error", stored.ToString()}});
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  live.operation.status = status;
}

void Operations::RunJob(const LiveRef& live) {
  SetStatus(*live, kExecuting);
  Operation ended;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ended = live->operation;
  }
  const absl::Status status = live->job.run(*live->log, live->cancel, ended);
  live->job.run = nullptr;  // and what it held: credentials
  End(*live, std::move(ended), status);
}

// Up to the start of the sandbox; Complete goes on when it has ended.
void Operations::Launch(const LiveRef& live) {
  InstanceRequest& request = live->request;
  SetStatus(*live, kExecuting);
  live->report = std::make_unique<InstanceReport>(request, options_.no_network, *live->log);
  live->report->OnInit();
  const auto report = std::make_shared<ProcessReport>(static_cast<int>(kMainProcess), request,
                                                      request.timeout, *live->log);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    live->reports[static_cast<int>(kMainProcess)] = report;
  }
  SandboxSpec spec;
  if (const absl::Status prepared = Prepare(*live, spec); !prepared.ok()) {
    return Complete(live, prepared);
  }
  // What it is given is no output of its own: it is shown before the command can answer to it.
  const auto on_started = [live, report](int pid) {
    report->OnStarted(pid);
    report->OnStdin(live->request.stdin_bytes);
    live->request.stdin_bytes = std::string();
  };
  const absl::StatusOr<std::shared_ptr<RunningSandbox>> sandbox = launcher_.Start(
      spec, live->cancel,
      {.on_started = on_started,
       .on_output = [report](OutputStream stream,
                             absl::string_view bytes) { report->OnOutput(stream, bytes); }},
      [this, live](absl::StatusOr<SandboxExit> exit) {
        instances_.workers.Add(
            [this, live, exit = std::move(exit)]() mutable { Complete(live, std::move(exit)); });
      });
  if (!sandbox.ok()) return Complete(live, sandbox.status());
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!live->sandbox_has_ended) live->sandbox = *sandbox;
}

absl::Status Operations::Prepare(Live& live, SandboxSpec& spec) {
  const InstanceRequest& request = live.request;
  ASSIGN_OR_RETURN(live.directory, images_.NewRun(request.image));
  if (options_.budget != nullptr) {
    live.watch =
        options_.budget->Begin(live.directory.path, [cancel = &live.cancel] { cancel->Cancel(); });
  }
  ASSIGN_OR_RETURN(
      RunLayers::Stack stack,
      run_layers_.For(request.files, request.disposable ? Keeping::kNothing : Keeping::kImage,
                      request.image, request.networking && options_.no_network.empty(),
                      live.directory));
  live.layers_lease = std::move(stack.lease);
  SetProcess(request, {&request.image.environment, &request.environment}, spec);
  spec.root = {.layers = std::move(stack.layers),
               .upper = live.directory.upper,
               .work = live.directory.work,
               .empty_directory = images_.empty_directory()};
  spec.hostname = request.hostname;
  spec.timeout = request.timeout;
  spec.disk_bytes = request.max_layer_bytes;
  spec.networking = request.networking;
  return absl::OkStatus();
}

void Operations::Complete(const LiveRef& live, absl::StatusOr<SandboxExit> exit) {
  Operation ended;
  std::shared_ptr<RunningSandbox> sandbox;
  std::map<int, std::shared_ptr<ProcessReport>> reports;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ended = live->operation;
    live->sandbox_has_ended = true;
    sandbox.swap(live->sandbox);  // it holds what holds this
    reports.swap(live->reports);
  }
  absl::Status status = exit.status();
  if (live->watch != nullptr) {
    if (!exit.ok() && !live->watch->status().ok()) status = live->watch->status();
    live->watch.reset();
  }
  if (exit.ok()) {
    reports[static_cast<int>(kMainProcess)]->OnExit(*exit);
    live->report->OnExit(*exit);
    status = Keep(*live, *exit, ended);
  } else if (!live->directory.path.empty()) {
    images_.Discard(live->directory);
  }
  End(*live, std::move(ended), status);
}

// What remains of a run that came to its end.
absl::Status Operations::Keep(Live& live, const SandboxExit& exit, Operation& ended) {
  const InstanceRequest& request = live.request;
  ended.result =
      ProcessResult(live.log->Read(0, absl::ZeroDuration()).events, static_cast<int>(kMainProcess))
          .dump();
  ended.cpu_time =
      absl::Microseconds(exit.usage.user_microseconds + exit.usage.system_microseconds);
  ended.max_rss_kilobytes = exit.usage.max_rss_kilobytes;
  if (request.disposable || exit.written_bytes > 0) {
    images_.Discard(live.directory);
    if (exit.written_bytes == 0) return absl::OkStatus();
    return absl::ResourceExhaustedError(
        absl::StrCat("the command was stopped: it wrote ", exit.written_bytes,
                     " bytes; max_layer_bytes allows ", request.max_layer_bytes));
  }
  Environment environment = request.image.environment;
  if (request.preserve_environment) {
    for (const auto& [name, value] : request.environment) environment[name] = value;
  }
  ASSIGN_OR_RETURN(const ImageStore::CommitResult committed,
                   images_.Commit(live.directory, request.image, environment, ended.uuid,
                                  request.max_layer_bytes, ended.project));
  ended.result_image_uuid = committed.image_uuid;
  ended.image_size = committed.layer_bytes;
  return absl::OkStatus();
}

void Operations::End(Live& live, Operation ended, const absl::Status& status) {
  bool stopped;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopped = live.stopped_with_backend;
    ended.duration = absl::Now() - live.began;
  }
  ended.status = kSuccess;
  if (!status.ok()) {
    const bool cancelled = absl::IsCancelled(status);
    ended.status = cancelled && !stopped ? kCancelled : kFailed;
    if (!cancelled || stopped) ended.error = cancelled ? kStopped : std::string(status.message());
  }
  Finish(live, std::move(ended));
}

void Operations::Finish(Live& live, Operation ended) {
  nlohmann::json completion = {{"status", ended.status},
                               {"duration_ms", absl::ToInt64Milliseconds(ended.duration)},
                               {"image_size_bytes", ended.image_size}};
  if (!ended.result_image_uuid.empty()) completion["result_image_uuid"] = ended.result_image_uuid;
  if (!ended.error.empty()) completion["error"] = ended.error;
  Event last = live.log->Prepare(0, "completion", completion);
  if (const absl::Status stored = store_.Finish(ended, live.log->SaveWith(last)); !stored.ok()) {
    LogError("cannot store how an operation ended",
             {{"operation", ended.uuid}, {"error", stored.ToString()}});
  }
  const std::string uuid = ended.uuid;
  const std::string project = ended.project;
  LogInfo("operation ended",
          {{"operation", uuid},
           {"status", ended.status},
           {"error", ended.error},
           {"duration_ms", absl::StrCat(absl::ToInt64Milliseconds(ended.duration))}});
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    live.operation = std::move(ended);
  }
  live.log->Close(std::move(last));
  bool idle;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    live_.erase(uuid);
    idle = live_.empty();
    if (live.began != absl::Time()) {  // its turn had come
      --live.lane->running;
      Load().Add({"running"}, -1);
      live.lane->queue.Done(project);
      Dispatch(*live.lane);
    }
    changed_.notify_all();
  }
  if (idle && options_.on_idle) options_.on_idle();
}

Operations::LiveRef Operations::FindLive(const std::string& project,
                                         const std::string& uuid) const {
  const auto found = live_.find(uuid);
  if (found == live_.end() || found->second->operation.project != project) return nullptr;
  return found->second;
}

absl::StatusOr<Operation> Operations::Get(const std::string& project, const std::string& uuid) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (const LiveRef live = FindLive(project, uuid); live != nullptr) {
      Operation operation = live->operation;
      if (!operation.IsTerminal() && live->began != absl::Time()) {
        operation.duration = absl::Now() - live->began;  // so far
      }
      return operation;
    }
  }
  return store_.Get(project, uuid);
}

absl::StatusOr<std::shared_ptr<const EventLog>> Operations::Events(const std::string& project,
                                                                   const std::string& uuid) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (const LiveRef live = FindLive(project, uuid); live != nullptr) return live->log;
  }
  ASSIGN_OR_RETURN(const std::string saved, store_.Events(project, uuid));
  return std::make_shared<const EventLog>(saved);
}

absl::Status Operations::Cancel(const std::string& project, const std::string& uuid) {
  LiveRef waiting;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const LiveRef live = FindLive(project, uuid);
    if (live != nullptr && !live->operation.IsTerminal()) {
      live->cancel.Cancel();
      if (!live->lane->queue.Remove(project, live))
        return absl::OkStatus();  // it runs, and sees it
      queued_bytes_ -= live->queued_bytes;
      Load().Add({"waiting"}, -1);
      waiting = live;
    }
  }
  if (waiting != nullptr) {
    Operation ended = waiting->operation;
    ended.status = kCancelled;
    Finish(*waiting, std::move(ended));
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const Operation operation, Get(project, uuid));
  return absl::FailedPreconditionError(
      absl::StrCat("the operation ", uuid, " has ended: ", operation.status));
}

int Operations::active() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return static_cast<int>(live_.size());
}

int Operations::running(const std::string& project, const std::string& kind) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  int count = 0;
  for (const auto& [uuid, live] : live_) {
    const Operation& operation = live->operation;
    if (operation.project == project && operation.kind == kind && operation.status != kPending) {
      ++count;
    }
  }
  return count;
}

void Operations::Stop(absl::Duration grace) {
  std::vector<LiveRef> waiting;
  std::unique_lock<std::mutex> lock(mutex_);
  stopping_ = true;
  for (Lane* lane : {&instances_, &jobs_}) {
    for (LiveRef& live : lane->queue.Clear()) {
      Load().Add({"waiting"}, -1);
      waiting.push_back(std::move(live));
    }
  }
  lock.unlock();
  for (const LiveRef& live : waiting) {
    Operation ended = live->operation;
    ended.status = kFailed;
    ended.error = kStopped;
    Finish(*live, std::move(ended));
  }
  lock.lock();
  changed_.wait_for(lock, absl::ToChronoMilliseconds(grace), [this] { return live_.empty(); });
  for (const auto& [uuid, live] : live_) {
    live->stopped_with_backend = true;
    live->cancel.Cancel();
  }
  // Each of them ends: a sandbox that does not is killed.
  changed_.wait(lock, [this] { return live_.empty(); });
}

}  // namespace contree
