#include "local-backend/operations/operations.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/files/unique_fd.h"
#include "common/status/status_macros.h"
#include "common/telemetry/logging.h"
#include "common/uuid/uuid.h"
#include "local-backend/operations/instance_report.h"
#include "local-backend/sandbox/overlay.h"

namespace contree {
namespace {

constexpr char kStopped[] = "the backend stopped";

std::vector<std::string> CommandLine(const InstanceRequest& request) {
  std::vector<std::string> argv = {request.command};
  if (request.shell) {
    argv = {"/bin/sh", "-c", request.command};
    if (!request.arguments.empty()) argv.emplace_back("sh");  // $0; the arguments are $1 and so on
  }
  argv.insert(argv.end(), request.arguments.begin(), request.arguments.end());
  return argv;
}

std::vector<std::string> EnvironmentOf(const InstanceRequest& request) {
  Environment environment = {
      {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, {"HOME", "/root"}};
  for (const auto& [name, value] : request.image.environment) environment[name] = value;
  for (const auto& [name, value] : request.environment) environment[name] = value;
  std::vector<std::string> entries;
  entries.reserve(environment.size());
  for (const auto& [name, value] : environment) entries.push_back(absl::StrCat(name, "=", value));
  return entries;
}

// Lays the request's files into the run: into a layer of its own where the result is thrown away,
// which `layers` is then topped with; else into what becomes the new layer.
absl::Status Attach(const InstanceRequest& request, const RunDirectory& run,
                    const std::string& empty_directory, std::vector<std::string>& layers) {
  if (request.files.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(
      const UniqueFd image,
      MountOverlay(
          {.layers = layers, .upper = "", .work = "", .empty_directory = empty_directory}));
  if (!request.disposable) {
    return AttachFiles(request.files, image.get(), run.upper, AttachBy::kCopy);
  }
  const std::string layer = absl::StrCat(run.path, "/files");
  if (mkdir(layer.c_str(), 0755) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot make the directory ", layer));
  }
  RETURN_IF_ERROR(AttachFiles(request.files, image.get(), layer, AttachBy::kLink));
  layers.insert(layers.begin(), layer);
  return absl::OkStatus();
}

}  // namespace

Operations::Operations(const Options& options, ImageStore& images, SandboxLauncher& launcher,
                       OperationStore& store)
    : options_(options), images_(images), launcher_(launcher), store_(store) {}

Operations::~Operations() { Stop(absl::ZeroDuration()); }

absl::StatusOr<Operation> Operations::Submit(InstanceRequest request) {
  auto live = std::make_shared<Live>();
  Operation& operation = live->operation;
  operation.created_at = absl::Now();
  operation.uuid = NewUuidV7(operation.created_at);
  operation.image_uuid = request.image.uuid;
  operation.request = request.json;
  live->request = std::move(request);
  return Queue(std::move(live));
}

absl::StatusOr<Operation> Operations::Submit(JobRequest request) {
  auto live = std::make_shared<Live>();
  Operation& operation = live->operation;
  operation.created_at = absl::Now();
  operation.uuid = NewUuidV7(operation.created_at);
  operation.kind = request.kind;
  operation.request = request.json;
  live->job = std::move(request);
  return Queue(std::move(live));
}

absl::StatusOr<Operation> Operations::Queue(std::shared_ptr<Live> live) {
  const Operation submitted = live->operation;
  RETURN_IF_ERROR(store_.Insert(submitted));
  bool stopping;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping = stopping_;
    live_[submitted.uuid] = live;
    if (!stopping) {
      queue_.push_back(live);
      if (idle_threads_ < static_cast<int>(queue_.size()) &&
          static_cast<int>(threads_.size()) < options_.max_concurrent) {
        threads_.emplace_back([this] { Work(); });
      }
      changed_.notify_all();
    }
  }
  if (stopping) {
    Operation ended = submitted;
    ended.status = kFailed;
    ended.error = kStopped;
    Finish(*live, std::move(ended));
    return absl::UnavailableError("the backend is stopping");
  }
  return submitted;
}

void Operations::Work() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    ++idle_threads_;
    changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    --idle_threads_;
    if (queue_.empty()) return;
    const std::shared_ptr<Live> live = std::move(queue_.front());
    queue_.pop_front();
    ++running_;
    live->operation.status = kExecuting;
    lock.unlock();
    Execute(*live);
    lock.lock();
    --running_;
  }
}

void Operations::Execute(Live& live) {
  const InstanceRequest& request = live.request;
  const absl::Time began = absl::Now();
  Operation ended;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ended = live.operation;
  }
  if (const absl::Status stored = store_.SetStatus(ended.uuid, kExecuting); !stored.ok()) {
    LogWarning("cannot store that an operation runs",
               {{"operation", ended.uuid}, {"error", stored.ToString()}});
  }
  InstanceReport report(request, *live.log);
  if (live.job.run == nullptr) report.OnInit();
  const auto run = [&]() -> absl::Status {
    ASSIGN_OR_RETURN(const RunDirectory directory, images_.NewRun(request.image));
    std::vector<std::string> layers = images_.LayerPaths(request.image);
    if (const absl::Status attached = Attach(request, directory, images_.empty_directory(), layers);
        !attached.ok()) {
      images_.Discard(directory);
      return attached;
    }
    SandboxSpec spec;
    spec.root = {.layers = std::move(layers),
                 .upper = directory.upper,
                 .work = directory.work,
                 .empty_directory = images_.empty_directory()};
    spec.hostname = request.hostname;
    spec.argv = CommandLine(request);
    spec.environment = EnvironmentOf(request);
    spec.cwd = request.cwd.empty() ? "/" : request.cwd;
    spec.uid = request.uid;
    spec.gid = request.gid;
    spec.stdin_bytes = request.stdin_bytes;
    spec.timeout = request.timeout;
    const absl::StatusOr<SandboxExit> exit = launcher_.Run(
        spec, live.cancel,
        {.on_started = [&](int pid) { report.OnStarted(pid); },
         .on_output = [&](OutputStream stream,
                          absl::string_view bytes) { report.OnOutput(stream, bytes); }});
    if (!exit.ok()) {
      images_.Discard(directory);
      return exit.status();
    }
    report.OnExit(*exit);
    ended.result = report.Result(*exit);
    ended.cpu_time =
        absl::Microseconds(exit->usage.user_microseconds + exit->usage.system_microseconds);
    ended.max_rss_kilobytes = exit->usage.max_rss_kilobytes;
    if (request.disposable) {
      images_.Discard(directory);
      return absl::OkStatus();
    }
    Environment environment = request.image.environment;
    if (request.preserve_environment) {
      for (const auto& [name, value] : request.environment) environment[name] = value;
    }
    ASSIGN_OR_RETURN(
        const ImageStore::CommitResult committed,
        images_.Commit(directory, request.image, environment, ended.uuid, request.max_layer_bytes));
    ended.result_image_uuid = committed.image_uuid;
    ended.image_size = committed.layer_bytes;
    return absl::OkStatus();
  };
  const absl::Status status =
      live.job.run == nullptr ? run() : live.job.run(*live.log, live.cancel, ended);
  live.job.run = nullptr;  // and what it held: credentials
  ended.status = kSuccess;
  if (!status.ok()) {
    bool stopped;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stopped = live.stopped_with_backend;
    }
    const bool cancelled = absl::IsCancelled(status);
    ended.status = cancelled && !stopped ? kCancelled : kFailed;
    if (!cancelled || stopped) ended.error = cancelled ? kStopped : std::string(status.message());
  }
  ended.duration = absl::Now() - began;
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
    changed_.notify_all();
  }
  if (idle && options_.on_idle) options_.on_idle();
}

absl::StatusOr<Operation> Operations::Get(const std::string& uuid) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = live_.find(uuid);
    if (found != live_.end()) return found->second->operation;
  }
  return store_.Get(uuid);
}

absl::StatusOr<std::shared_ptr<const EventLog>> Operations::Events(const std::string& uuid) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = live_.find(uuid);
    if (found != live_.end()) return found->second->log;
  }
  ASSIGN_OR_RETURN(const std::string saved, store_.Events(uuid));
  return std::make_shared<const EventLog>(saved);
}

absl::Status Operations::Cancel(const std::string& uuid) {
  std::shared_ptr<Live> waiting;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = live_.find(uuid);
    if (found != live_.end() && !found->second->operation.IsTerminal()) {
      found->second->cancel.Cancel();
      const auto queued = std::find(queue_.begin(), queue_.end(), found->second);
      if (queued == queue_.end()) return absl::OkStatus();  // it runs, and sees it
      waiting = *queued;
      queue_.erase(queued);
    }
  }
  if (waiting != nullptr) {
    Operation ended = waiting->operation;
    ended.status = kCancelled;
    Finish(*waiting, std::move(ended));
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const Operation operation, Get(uuid));
  return absl::FailedPreconditionError(
      absl::StrCat("the operation ", uuid, " has ended: ", operation.status));
}

int Operations::active() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return static_cast<int>(live_.size());
}

int Operations::running() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return running_;
}

int Operations::running(const std::string& kind) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  int count = 0;
  for (const auto& [uuid, live] : live_) {
    if (live->operation.kind == kind && live->operation.status == kExecuting) ++count;
  }
  return count;
}

void Operations::Stop(absl::Duration grace) {
  std::deque<std::shared_ptr<Live>> waiting;
  std::unique_lock<std::mutex> lock(mutex_);
  stopping_ = true;
  waiting.swap(queue_);
  changed_.notify_all();
  lock.unlock();
  for (const std::shared_ptr<Live>& live : waiting) {
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
  std::vector<std::thread> threads;
  threads.swap(threads_);
  lock.unlock();
  for (std::thread& thread : threads) thread.join();
}

}  // namespace contree
