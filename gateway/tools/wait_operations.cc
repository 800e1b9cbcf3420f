// wait_operations: waits for several operations at once.

#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/rpc/grpc_context.h"
#include "common/status/grpc_status.h"
#include "common/status/status_context.h"
#include "common/status/status_macros.h"
#include "gateway/tools/operation_json.h"
#include "gateway/tools/reconnect_pacer.h"
#include "gateway/tools/tool.h"

namespace contree::gateway {
namespace {

using contree::v1::Operation;
using nlohmann::json;
using nlohmann::ordered_json;
using Stub = contree::v1::ContreeService::StubInterface;

// Cancelling waits until the platform has stopped the command.
constexpr absl::Duration kCancelTimeout = absl::Seconds(30);

constexpr char kDescription[] =
    R"(Wait for operations that run with wait=false started, and get their results. Free. mode=all waits for every one; mode=any returns as soon as one has ended and cancels the others: for trying several ways of which one has to work. When timeout is up, nothing is cancelled: what has not ended is listed under pending, and you can wait for it again.)";

constexpr char kInputSchema[] = R"({
  "type": "object",
  "required": ["operation_ids"],
  "properties": {
    "operation_ids": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 1000, "description": "As returned by run."},
    "timeout": {"type": "integer", "minimum": 1, "maximum": 3600, "default": 300, "description": "Seconds to wait at most."},
    "mode": {"type": "string", "enum": ["all", "any"], "default": "all", "description": "any cancels the others once one has ended."}
  }
})";

std::string OutputSchema() {
  return absl::StrCat(R"({
  "type": "object",
  "required": ["results", "completed", "pending", "cancelled", "timed_out"],
  "properties": {
    "results": {"type": "object", "description": "operation id → how it ended.", "additionalProperties": )",
                      OperationSchema(), R"(},
    "completed": {"type": "array", "items": {"type": "string"}, "description": "Ended; see results."},
    "pending": {"type": "array", "items": {"type": "string"}, "description": "Not ended when the time was up; they go on."},
    "cancelled": {"type": "array", "items": {"type": "string"}, "description": "Cancelled by this call (mode=any)."},
    "errors": {"type": "object", "additionalProperties": {"type": "string"}, "description": "operation id → why it could not be followed."},
    "timed_out": {"type": "boolean"}
  }
})");
}

// What is known of the operations so far.
struct Progress {
  std::vector<std::string> order;  // as asked for, each once
  std::map<std::string, Operation> ended;
  std::map<std::string, std::string> errors;
  std::set<std::string> cancelled;

  std::vector<std::string> Open() const {
    std::vector<std::string> open;
    for (const std::string& id : order) {
      if (!ended.contains(id) && !errors.contains(id)) open.push_back(id);
    }
    return open;
  }
};

// One stream over what is still open. OK: it ended as it should, or with `any` one has ended.
absl::Status WatchOnce(Stub& stub, bool any, RequestContext& context, Progress& progress) {
  contree::v1::WatchOperationsRequest request;
  request.set_mode(any ? contree::v1::WATCH_MODE_ANY : contree::v1::WATCH_MODE_ALL);
  for (const std::string& id : progress.Open()) request.add_operation_ids(id);
  OutgoingCall call(context.call);
  const auto reader = stub.WatchOperations(call.client_context(), request);
  contree::v1::WatchOperationsResponse response;
  while (reader->Read(&response)) {
    const std::string id = response.operation_id();
    if (response.has_error()) {
      progress.errors[id] = response.error().message();
      continue;
    }
    const Operation& operation = progress.ended[id] = std::move(*response.mutable_operation());
    context.report_progress(absl::StrCat("operation ", id, ": ", StateName(operation.state()), " (",
                                         progress.Open().size(), " to go)"));
    if (any) {
      call.client_context()->TryCancel();
      reader->Finish();
      return absl::OkStatus();
    }
  }
  return FromGrpcStatus(reader->Finish());
}

// Until all have ended, or with `any` one has. DeadlineExceeded: the time is up.
absl::Status Watch(Stub& stub, Clock& clock, bool any, RequestContext& context,
                   Progress& progress) {
  ReconnectPacer pacer(clock);
  while (true) {
    const size_t known = progress.ended.size() + progress.errors.size();
    absl::Status status = WatchOnce(stub, any, context, progress);
    if (progress.Open().empty() || (any && !progress.ended.empty())) return absl::OkStatus();
    if (context.call.stop.stop_requested()) {
      return absl::CancelledError("nobody waits any more; the operations go on");
    }
    if (absl::IsDeadlineExceeded(status) || clock.Now() >= context.call.deadline) {
      return absl::DeadlineExceededError("the time is up");
    }
    // A stream over ANY also ends when the first answer is an error: the rest is still to watch.
    if (status.ok() && progress.ended.size() + progress.errors.size() > known) continue;
    if (status.ok()) status = absl::UnavailableError("the event stream ended too early");
    if (progress.ended.size() + progress.errors.size() > known) pacer.Reset();
    if (pacer.WaitAfter(status, context.call)) continue;
    if (absl::IsUnavailable(status) && clock.Now() + absl::Seconds(2) >= context.call.deadline) {
      return absl::DeadlineExceededError("the time is up");
    }
    return Annotate(status, absl::StrCat("operations ", absl::StrJoin(progress.Open(), ", ")));
  }
}

// Cancels all that is open, all at the same time: each call lasts until its command has stopped.
void CancelOpen(Stub& stub, const CallContext& context, Progress& progress) {
  struct Cancellation {
    Cancellation(std::string id, const CallContext& context) : id(std::move(id)), call(context) {}
    std::string id;
    OutgoingCall call;
    contree::v1::CancelOperationResponse response;
    grpc::Status status;
    std::unique_ptr<grpc::ClientAsyncResponseReaderInterface<contree::v1::CancelOperationResponse>>
        reader;
  };
  CallContext call = context;
  call.deadline = absl::Now() + kCancelTimeout;
  grpc::CompletionQueue queue;
  std::vector<std::unique_ptr<Cancellation>> cancellations;
  for (const std::string& id : progress.Open()) {
    auto& one = cancellations.emplace_back(std::make_unique<Cancellation>(id, call));
    contree::v1::CancelOperationRequest request;
    request.set_operation_id(id);
    one->reader = stub.AsyncCancelOperation(one->call.client_context(), request, &queue);
    one->reader->Finish(&one->response, &one->status, one.get());
  }
  void* tag = nullptr;
  bool ok = false;
  for (size_t i = 0; i < cancellations.size() && queue.Next(&tag, &ok); ++i) {
    auto& one = *static_cast<Cancellation*>(tag);
    if (!one.status.ok()) {
      progress.errors[one.id] =
          absl::StrCat("it could not be cancelled and may still run: ", one.status.error_message());
      continue;
    }
    if (one.response.cancelled()) progress.cancelled.insert(one.id);
    progress.ended[one.id] = std::move(*one.response.mutable_operation());
  }
  queue.Shutdown();
  while (queue.Next(&tag, &ok)) {
  }
}

ordered_json ToJson(const Progress& progress, bool timed_out) {
  ordered_json json = ordered_json::object();
  ordered_json& results = json["results"] = ordered_json::object();
  ordered_json completed = ordered_json::array();
  ordered_json cancelled = ordered_json::array();
  for (const std::string& id : progress.order) {
    const auto ended = progress.ended.find(id);
    if (ended == progress.ended.end()) continue;
    results[id] = OperationJson(ended->second);
    (progress.cancelled.contains(id) ? cancelled : completed).push_back(id);
  }
  json["completed"] = std::move(completed);
  json["pending"] = progress.Open();
  json["cancelled"] = std::move(cancelled);
  if (!progress.errors.empty()) json["errors"] = progress.errors;
  json["timed_out"] = timed_out;
  return json;
}

absl::StatusOr<ToolOutput> HandleWaitOperations(const json& arguments, RequestContext& context,
                                                const Services& services) {
  const bool any = arguments.at("mode").get<std::string>() == "any";
  context.call.deadline = absl::Now() + absl::Seconds(arguments.at("timeout").get<int64_t>());
  Progress progress;
  std::set<std::string> seen;
  for (const json& id : arguments.at("operation_ids")) {
    if (seen.insert(id.get<std::string>()).second) progress.order.push_back(id.get<std::string>());
  }
  const absl::Status watched = Watch(*services.contree, *services.clock, any, context, progress);
  const bool timed_out = absl::IsDeadlineExceeded(watched);
  if (!watched.ok() && !timed_out) return watched;
  if (any && !timed_out && !progress.ended.empty()) {
    CancelOpen(*services.contree, context.call, progress);
  }
  ToolOutput output{.structured = ToJson(progress, timed_out)};
  // Not one of them exists, or can be followed: that is a mistake in the call, not a result.
  output.is_error = progress.errors.size() == progress.order.size();
  return output;
}

}  // namespace

Tool WaitOperationsTool() {
  return {
      .name = "wait_operations",
      .title = "Wait for operations",
      // mode=any cancels operations.
      .annotations = {.read_only = false,
                      .destructive = true,
                      .idempotent = true,
                      .open_world = false},
      .description = kDescription,
      .input_schema = kInputSchema,
      .output_schema = OutputSchema(),
      .may_wait = true,
      .handler = HandleWaitOperations,
  };
}

}  // namespace contree::gateway
