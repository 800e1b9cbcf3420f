#include "gateway/mcp/session.h"

#include <atomic>
#include <nlohmann/json.hpp>
#include <stop_token>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/telemetry/logging.h"
#include "gateway/jsonrpc/error.h"

namespace contree::gateway {
namespace {

// For all that does not say itself how long it may wait.
constexpr absl::Duration kCallTimeout = absl::Seconds(60);

std::optional<std::string> ProgressToken(const Message& message) {
  const auto meta = message.params().find("_meta");
  if (meta == message.params().end() || !meta->is_object()) return std::nullopt;
  const auto token = meta->find("progressToken");
  if (token == meta->end()) return std::nullopt;
  const std::optional<RequestId> id = ReadRequestId(*token);  // tokens have the types of ids
  return id.has_value() ? std::optional<std::string>(id->json) : std::nullopt;
}

}  // namespace

struct PendingCall::State {
  std::stop_source stop;
  std::atomic<bool> cancelled_by_client = false;
};

PendingCall::PendingCall(Session& session, RequestId id, Message message,
                         std::shared_ptr<State> state)
    : session_(session),
      id_(std::move(id)),
      message_(std::move(message)),
      effort_(session.server_.EffortOf(message_)),
      progress_token_json_(ProgressToken(message_)),
      state_(std::move(state)) {}

PendingCall::~PendingCall() { session_.Finish(id_, *state_); }

std::optional<std::string> PendingCall::Run() {
  const absl::Time start = absl::Now();
  RequestContext context;
  context.call = NewCallContext(kCallTimeout);
  context.call.stop = state_->stop.get_token();
  context.cancelled_by_client = [state = state_.get()] {
    return state->cancelled_by_client.load();
  };
  std::optional<ProgressReporter> progress;
  if (progress_token_json_.has_value()) {
    progress.emplace(*progress_token_json_, session_.sink_, absl::Now);
    context.report_progress = [&progress](absl::string_view message) { progress->Report(message); };
  }
  const absl::StatusOr<std::string> result = session_.server_.Handle(message_, context);
  LogDebug("request",
           {{"method", message_.method()},
            {"request_id", context.call.request_id},
            {"code", result.ok() ? "0" : absl::StrCat(JsonRpcCode(result.status()))},
            {"milliseconds", absl::StrCat(absl::ToDoubleMilliseconds(absl::Now() - start))}});
  if (!session_.Finish(id_, *state_)) return std::nullopt;
  if (!result.ok()) {
    if (JsonRpcCode(result.status()) == kInternalErrorCode) {
      LogError("a request failed inside the gateway", {{"method", message_.method()},
                                                       {"request_id", context.call.request_id},
                                                       {"error", result.status().ToString()}});
    }
    return SerializeError(id_, result.status());
  }
  return SerializeResult(id_, *result);
}

std::string PendingCall::Refuse(absl::string_view reason) {
  session_.Finish(id_, *state_);
  return SerializeError(id_, absl::ResourceExhaustedError(reason));
}

void PendingCall::Stop() { state_->stop.request_stop(); }

Session::Session(const McpServer& server, NotificationSink sink)
    : server_(server), sink_(std::move(sink)) {}

Session::~Session() = default;

Session::Accepted Session::Accept(absl::string_view text) {
  ParsedMessage parsed = ParseMessage(text);
  if (!parsed.message.ok()) {
    return {.answer = SerializeError(parsed.id, parsed.message.status()), .is_malformed = true};
  }
  Message& message = *parsed.message;
  if (message.kind() != Message::Kind::kRequest) {
    if (message.kind() == Message::Kind::kNotification) HandleNotification(message);
    return {};
  }
  auto state = std::make_shared<PendingCall::State>();
  bool stopped = false;
  {
    absl::MutexLock lock(&mutex_);
    if (!running_.try_emplace(parsed.id->json, state).second) {
      return {.answer = SerializeError(
                  parsed.id, InvalidRequest(absl::StrCat("a request with the id ", parsed.id->json,
                                                         " is still running"))),
              .is_malformed = true};
    }
    stopped = stopped_;
  }
  if (stopped) state->stop.request_stop();
  return {.call = std::unique_ptr<PendingCall>(
              new PendingCall(*this, std::move(*parsed.id), std::move(message), std::move(state)))};
}

void Session::HandleNotification(const Message& message) {
  if (message.method() != "notifications/cancelled") return;
  const auto id_value = message.params().find("requestId");
  if (id_value == message.params().end()) return;
  if (const std::optional<RequestId> id = ReadRequestId(*id_value)) Cancel(*id);
}

void Session::Cancel(const RequestId& id) {
  std::shared_ptr<PendingCall::State> state;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = running_.find(id.json);
    if (found == running_.end()) return;  // it has ended: the two messages crossed
    state = found->second;
    state->cancelled_by_client = true;
  }
  // Outside the lock: it runs the callbacks of whoever waits.
  state->stop.request_stop();
}

void Session::Stop() {
  std::vector<std::shared_ptr<PendingCall::State>> states;
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
    for (const auto& [id, state] : running_) states.push_back(state);
  }
  for (const auto& state : states) state->stop.request_stop();
}

bool Session::Finish(const RequestId& id, const PendingCall::State& state) {
  absl::MutexLock lock(&mutex_);
  // The id may be in use again: a call that was finished is finished once more when it is
  // destroyed.
  const auto found = running_.find(id.json);
  if (found != running_.end() && found->second.get() == &state) running_.erase(found);
  return !state.cancelled_by_client;
}

}  // namespace contree::gateway
