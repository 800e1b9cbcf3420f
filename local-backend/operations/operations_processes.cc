// What of Operations is about the processes of a running instance.

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "local-backend/operations/live_operation.h"
#include "local-backend/operations/operations.h"
#include "local-backend/operations/process_spec.h"

namespace contree {
namespace {

absl::Status NoProcess(const std::string& uuid, int spid) {
  return absl::NotFoundError(absl::StrCat("the operation ", uuid, " has no process ", spid));
}

// The sandbox knows the process by its number only.
absl::Status OfOperation(const absl::Status& status, const std::string& uuid, int spid) {
  if (absl::IsNotFound(status)) return NoProcess(uuid, spid);
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat("operation ", uuid, ": ", status.message()));
}

}  // namespace

absl::StatusOr<Operations::LiveRef> Operations::FindRunning(const std::string& project,
                                                            const std::string& uuid) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const LiveRef live = FindLive(project, uuid);
    if (live != nullptr && live->lane != &instances_) {
      return absl::FailedPreconditionError(
          absl::StrCat("the operation ", uuid, " is no instance: it has no processes"));
    }
    if (live != nullptr && live->sandbox != nullptr) return live;
    if (live != nullptr && !live->sandbox_has_ended) {
      return absl::UnavailableError(
          absl::StrCat("the sandbox of operation ", uuid, " is not up yet; try again soon"));
    }
  }
  ASSIGN_OR_RETURN(const Operation operation, Get(project, uuid));
  return absl::FailedPreconditionError(absl::StrCat("the command of operation ", uuid,
                                                    " has ended: no process of it runs any more"));
}

absl::StatusOr<int> Operations::StartProcess(const std::string& project, const std::string& uuid,
                                             const ProcessRequest& given) {
  ASSIGN_OR_RETURN(const LiveRef live, FindRunning(project, uuid));
  ProcessRequest request = given;
  if (request.cwd.empty()) request.cwd = live->request.cwd;
  ProcessSpec spec;
  SetProcess(request,
             {&live->request.image.environment, &live->request.environment, &request.environment},
             spec);
  std::shared_ptr<RunningSandbox> sandbox;
  std::shared_ptr<ProcessReport> report;
  int spid = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (static_cast<int>(live->reports.size()) > options_.bounds.processes_of_an_instance) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the operation ", uuid, " had ", live->reports.size() - 1,
                       " processes beside its command; it gets no more"));
    }
    sandbox = live->sandbox;
    if (sandbox != nullptr) {
      spid = static_cast<int>(kMainProcess + live->reports.size());
      report = std::make_shared<ProcessReport>(spid, request, absl::ZeroDuration(), *live->log);
      live->reports[spid] = report;
    }
  }
  if (sandbox == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat("the operation ", uuid, " has ended"));
  }
  const absl::Status started = sandbox->StartProcess(
      static_cast<uint32_t>(spid), std::move(spec),
      {.on_started =
           [live, report, fed = std::move(request.stdin_bytes)](int pid) {
             report->OnStarted(pid);
             report->OnStdin(fed);
           },
       .on_output = [live, report](OutputStream stream,
                                   absl::string_view bytes) { report->OnOutput(stream, bytes); },
       .on_exited = [live, report](const SandboxExit& exit) { report->OnExit(exit); }});
  if (!started.ok()) return OfOperation(started, uuid, spid);
  return spid;
}

absl::Status Operations::WriteStdin(const std::string& project, const std::string& uuid, int spid,
                                    const std::string& bytes, bool close) {
  ASSIGN_OR_RETURN(const LiveRef live, FindRunning(project, uuid));
  std::shared_ptr<RunningSandbox> sandbox;
  std::shared_ptr<ProcessReport> report;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = live->reports.find(spid);
    if (found == live->reports.end()) return NoProcess(uuid, spid);
    report = found->second;
    sandbox = live->sandbox;
  }
  if (sandbox == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat("the operation ", uuid, " has ended"));
  }
  RETURN_IF_ERROR(
      OfOperation(sandbox->WriteStdin(static_cast<uint32_t>(spid), bytes, close), uuid, spid));
  report->OnStdin(bytes);
  return absl::OkStatus();
}

absl::Status Operations::Signal(const std::string& project, const std::string& uuid, int spid,
                                int signal) {
  ASSIGN_OR_RETURN(const LiveRef live, FindRunning(project, uuid));
  std::shared_ptr<RunningSandbox> sandbox;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    sandbox = live->sandbox;
  }
  if (sandbox == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat("the operation ", uuid, " has ended"));
  }
  return OfOperation(sandbox->Signal(static_cast<uint32_t>(spid), signal), uuid, spid);
}

bool Operations::HasProcess(const std::string& project, const std::string& uuid, int spid) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const LiveRef live = FindLive(project, uuid);
  return live != nullptr && live->reports.count(spid) > 0;
}

}  // namespace contree
