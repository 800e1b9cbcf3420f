#include "gateway/mcp/session.h"

#include <atomic>
#include <nlohmann/json.hpp>
#include <stop_token>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/rpc/call_log.h"
#include "common/status/status_macros.h"
#include "common/telemetry/logging.h"
#include "gateway/jsonrpc/error.h"
#include "gateway/mcp/input_round.h"
#include "gateway/tools/tool_result.h"

namespace contree::gateway {
namespace {

using nlohmann::json;

// For all that does not say itself how long it may wait.
constexpr absl::Duration kCallTimeout = absl::Seconds(60);
// For a client that was asked for something: a person may have to sign in.
constexpr absl::Duration kAnswerTimeout = absl::Minutes(10);
// A handler that asks again and again has lost its way.
constexpr int kMaxRounds = 16;
constexpr size_t kMaxListenings = 1000;

// Only these may ask for something before they answer.
bool MayRequireInput(absl::string_view method) {
  return method == "tools/call" || method == "prompts/get" || method == "resources/read";
}

std::string LogNotification(LogLevel level, absl::string_view message) {
  return SerializeNotification(
      "notifications/message",
      absl::StrCat(R"({"level":)", ToJsonString(LogLevelName(level)), R"(,"logger":)",
                   ToJsonString(kServerName), R"(,"data":)", ToJsonString(message), "}"));
}

}  // namespace

struct PendingCall::State {
  std::stop_source stop;
  std::atomic<bool> cancelled_by_client = false;
};

PendingCall::PendingCall(Session& session, RequestId id, Message message, RequestMeta meta,
                         CallOptions options, std::shared_ptr<State> state)
    : session_(session),
      id_(std::move(id)),
      message_(std::move(message)),
      meta_(std::move(meta)),
      negotiated_(std::move(options.negotiated)),
      caller_(std::move(options.caller)),
      effort_(session.server_.EffortOf(message_)),
      sink_(std::move(options.sink)),
      state_(std::move(state)) {}

PendingCall::~PendingCall() { session_.Finish(id_, *state_); }

bool PendingCall::may_ask() const {
  return meta_.era == Era::kSessions && session_.options_.is_whole &&
         negotiated_.client != ClientCapabilities() && MayRequireInput(message_.method());
}

RequestContext PendingCall::NewContext() {
  static const json kNoResponses = json::object();
  RequestContext context;
  context.call = CallContextOf(caller_, kCallTimeout);
  context.call.trace = meta_.trace;
  context.call.stop = state_->stop.get_token();
  context.cancelled_by_client = [state = state_.get()] {
    return state->cancelled_by_client.load();
  };
  context.input_responses = &kNoResponses;
  context.era = meta_.era;
  context.transport = session_.options_.transport;
  const bool is_stateless = meta_.era == Era::kStateless;
  context.can_subscribe = is_stateless || session_.options_.is_whole;
  if (is_stateless) {
    context.client = meta_.client;
  } else if (may_ask() && sink_ != nullptr) {
    context.client = negotiated_.client;
  }
  if (sink_ == nullptr) return context;
  if (meta_.progress_token_json.has_value()) {
    if (!progress_.has_value()) progress_.emplace(*meta_.progress_token_json, sink_, absl::Now);
    context.report_progress = [this](absl::string_view message) { progress_->Report(message); };
  }
  const std::optional<LogLevel> wanted = is_stateless ? meta_.log_level : negotiated_.log_level;
  if (wanted.has_value()) {
    context.log = [this, wanted = *wanted](LogLevel level, absl::string_view message) {
      if (level >= wanted) sink_(LogNotification(level, message));
    };
  }
  return context;
}

absl::StatusOr<HandledRequest> PendingCall::Handle(RequestContext& context) {
  const absl::Time start = absl::Now();
  const CallLog log(context.call);
  absl::StatusOr<HandledRequest> handled =
      context.era == Era::kSessions && context.can_subscribe &&
              (message_.method() == "resources/subscribe" ||
               message_.method() == "resources/unsubscribe")
          ? session_.Subscribe(message_, context)
          : session_.server_.Handle(message_, negotiated_, context);
  LogDebug("request",
           {{"method", message_.method()},
            {"request_id", context.call.request_id},
            {"code", handled.ok() ? "0" : absl::StrCat(JsonRpcCode(handled.status()))},
            {"milliseconds", absl::StrCat(absl::ToDoubleMilliseconds(absl::Now() - start))}});
  if (!handled.ok() && JsonRpcCode(handled.status()) == kInternalErrorCode) {
    LogError("a request failed inside the gateway", {{"method", message_.method()},
                                                     {"request_id", context.call.request_id},
                                                     {"error", handled.status().ToString()}});
  }
  return handled;
}

absl::StatusOr<HandledRequest> PendingCall::HandleStateless() {
  RequestContext context = NewContext();
  if (!MayRequireInput(message_.method())) return Handle(context);
  const TextSealer& sealer = session_.server_.sealer();
  ASSIGN_OR_RETURN(const InputRound round,
                   ReadInputRound(message_, context.call.tenant, sealer, absl::Now()));
  context.input_responses = &round.responses;
  context.request_state = round.state;
  absl::StatusOr<HandledRequest> handled = Handle(context);
  if (!handled.ok() || !handled->input_required.has_value()) return handled;
  RETURN_IF_ERROR(CheckInputRequired(*handled->input_required, context.client));
  ASSIGN_OR_RETURN(handled->result_json,
                   InputRequiredJson(*handled->input_required, message_, context.call.tenant,
                                     sealer, absl::Now()));
  return handled;
}

absl::StatusOr<HandledRequest> PendingCall::HandleInSession() {
  RequestContext context = NewContext();
  json responses;
  for (int round = 0; round < kMaxRounds; ++round) {
    absl::StatusOr<HandledRequest> handled = Handle(context);
    if (!handled.ok() || !handled->input_required.has_value()) return handled;
    const InputRequired& required = *handled->input_required;
    absl::Status status = CheckInputRequired(required, context.client);
    if (status.ok()) {
      absl::StatusOr<json> asked =
          session_.questions_.Ask(required.requests, sink_, kAnswerTimeout, context.call.stop);
      status = asked.status();
      if (asked.ok()) responses = *std::move(asked);
    }
    if (!status.ok()) {
      if (message_.method() == "tools/call") {
        return HandledRequest{.result_json =
                                  ToolErrorJson(absl::FailedPreconditionError(status.message()))};
      }
      return InvalidParams(status.message());
    }
    context = NewContext();
    context.input_responses = &responses;
    context.request_state = required.state;
  }
  return absl::InternalError(
      absl::StrCat(message_.method(), " asked its client ", kMaxRounds, " times"));
}

std::optional<Answer> PendingCall::Run() {
  absl::StatusOr<HandledRequest> handled =
      meta_.era == Era::kStateless ? HandleStateless() : HandleInSession();
  if (!session_.Finish(id_, *state_)) return std::nullopt;
  return ToAnswer(std::move(handled));
}

Answer PendingCall::ToAnswer(absl::StatusOr<HandledRequest> handled) {
  if (!handled.ok()) {
    return {.json = SerializeError(id_, handled.status()),
            .error_code = JsonRpcCode(handled.status())};
  }
  if (handled->negotiated.has_value()) session_.SetNegotiated(*handled->negotiated);
  return {.json = SerializeResult(id_, handled->result_json),
          .negotiated = std::move(handled->negotiated)};
}

Answer PendingCall::Refuse(absl::string_view reason) {
  session_.Finish(id_, *state_);
  return ToAnswer(absl::ResourceExhaustedError(reason));
}

void PendingCall::Stop() { state_->stop.request_stop(); }

void PendingCall::Cancel() {
  state_->cancelled_by_client = true;
  state_->stop.request_stop();
}

Session::Session(const McpServer& server, NotificationSink sink, SessionOptions options)
    : server_(server), options_(options), sink_(std::move(sink)) {}

Session::~Session() {
  // While all else is still there: they wait for notifications that are on their way.
  std::unique_ptr<SubscribedResources> subscribed;
  absl::flat_hash_map<std::string, std::unique_ptr<Listening>> listenings;
  absl::MutexLock lock(&mutex_);
  subscribed = std::move(subscribed_);
  listenings = std::exchange(listenings_, {});
}

Session::Accepted Session::Accept(absl::string_view text) { return Accept(ParseMessage(text)); }

Session::Accepted Session::Accept(ParsedMessage parsed) {
  absl::StatusOr<RequestMeta> meta = RequestMeta();
  if (parsed.message.ok() && parsed.message->kind() == Message::Kind::kRequest) {
    meta = ReadRequestMeta(*parsed.message, /*http_version=*/nullptr);
    if (meta.ok() && meta->era == Era::kStateless &&
        parsed.message->method() == "subscriptions/listen") {
      return Listen(*parsed.id, *parsed.message, *meta);
    }
  }
  return Accept(std::move(parsed), std::move(meta),
                {.sink = [this](const std::string& message) { Send(message); },
                 .negotiated = negotiated(),
                 .caller = {}});
}

Session::Accepted Session::Accept(ParsedMessage parsed, absl::StatusOr<RequestMeta> meta,
                                  CallOptions options) {
  if (!parsed.message.ok()) {
    return {.answer = SerializeError(parsed.id, parsed.message.status()), .is_malformed = true};
  }
  Message& message = *parsed.message;
  if (message.kind() == Message::Kind::kNotification) {
    HandleNotification(message);
    return {};
  }
  if (message.kind() == Message::Kind::kResponse) {
    if (parsed.id.has_value()) questions_.Answer(*parsed.id, std::move(message));
    return {};
  }
  if (!meta.ok()) {
    return {.answer = SerializeError(parsed.id, meta.status()), .is_malformed = true};
  }
  auto state = std::make_shared<PendingCall::State>();
  bool stopped = false;
  {
    absl::MutexLock lock(&mutex_);
    if (listenings_.contains(parsed.id->json) ||
        !running_.try_emplace(parsed.id->json, state).second) {
      return {.answer = SerializeError(
                  parsed.id, InvalidRequest(absl::StrCat("a request with the id ", parsed.id->json,
                                                         " is still running"))),
              .is_malformed = true};
    }
    stopped = stopped_;
  }
  if (stopped) state->stop.request_stop();
  return {.call = std::unique_ptr<PendingCall>(
              new PendingCall(*this, std::move(*parsed.id), std::move(message), *std::move(meta),
                              std::move(options), std::move(state)))};
}

Session::Accepted Session::Listen(const RequestId& id, const Message& request,
                                  const RequestMeta& meta) {
  absl::Status refused;
  {
    absl::MutexLock lock(&mutex_);
    if (running_.contains(id.json) || !listenings_.try_emplace(id.json).second) {
      refused =
          InvalidRequest(absl::StrCat("a request with the id ", id.json, " is still running"));
    } else if (stopped_ || listenings_.size() > kMaxListenings) {
      listenings_.erase(id.json);
      refused = absl::ResourceExhaustedError(
          absl::StrCat("there are ", kMaxListenings, " subscriptions already; end some first"));
    }
  }
  if (!refused.ok()) return {.answer = SerializeError(id, refused), .is_malformed = true};
  CallContext context = NewCallContext(kCallTimeout);
  context.trace = meta.trace;
  absl::StatusOr<std::unique_ptr<Listening>> listening =
      Listening::Begin(server_.catalog().resources, id, request, context,
                       [this](const std::string& message) { Send(message); });
  absl::MutexLock lock(&mutex_);
  if (!listening.ok()) {
    listenings_.erase(id.json);
    return {.answer = SerializeError(id, listening.status())};
  }
  listenings_[id.json] = *std::move(listening);
  return {};
}

absl::StatusOr<HandledRequest> Session::Subscribe(const Message& request,
                                                  const RequestContext& context) {
  const auto member = request.params().find("uri");
  const auto* uri =
      member == request.params().end() ? nullptr : member->get_ptr<const std::string*>();
  if (uri == nullptr) {
    return InvalidParams(absl::StrCat(request.method(), " needs a uri, a string"));
  }
  SubscribedResources* subscribed = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    if (subscribed_ == nullptr && !stopped_) {
      subscribed_ = std::make_unique<SubscribedResources>(
          server_.catalog().resources, [this](const std::string& message) { Send(message); });
    }
    subscribed = subscribed_.get();  // until the end of the session, which calls do not outlive
  }
  if (subscribed != nullptr) {
    if (request.method() == "resources/unsubscribe") {
      subscribed->Remove(*uri);
    } else {
      const absl::Status added = subscribed->Add(*uri, context.call);
      if (absl::IsResourceExhausted(added)) return InvalidRequest(added.message());
      RETURN_IF_ERROR(added);
    }
  }
  return HandledRequest{.result_json = "{}"};
}

void Session::Send(const std::string& message) {
  absl::MutexLock lock(&sink_mutex_);
  if (sink_ != nullptr) sink_(message);
}

void Session::SetSink(NotificationSink sink) {
  absl::MutexLock lock(&sink_mutex_);
  sink_ = std::move(sink);
}

bool Session::has_subscriptions() {
  absl::MutexLock lock(&mutex_);
  return subscribed_ != nullptr;
}

void Session::HandleNotification(const Message& message) {
  if (message.method() != "notifications/cancelled") return;
  const auto id_value = message.params().find("requestId");
  if (id_value == message.params().end()) return;
  if (const std::optional<RequestId> id = ReadRequestId(*id_value)) Cancel(*id);
}

void Session::Cancel(const RequestId& id) {
  std::shared_ptr<PendingCall::State> state;
  std::unique_ptr<Listening> listening;  // ends outside the lock
  {
    absl::MutexLock lock(&mutex_);
    if (const auto found = listenings_.find(id.json); found != listenings_.end()) {
      listening = std::move(found->second);
      listenings_.erase(found);
      // What is just beginning is not there yet; it stays.
      if (listening == nullptr) listenings_.try_emplace(id.json);
    }
    if (const auto found = running_.find(id.json); found != running_.end()) {
      state = found->second;
      state->cancelled_by_client = true;
    }
  }
  // Otherwise it has ended: the two messages crossed.
  if (state != nullptr) state->stop.request_stop();
}

void Session::Stop() {
  std::vector<std::shared_ptr<PendingCall::State>> states;
  absl::flat_hash_map<std::string, std::unique_ptr<Listening>> listenings;
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
    for (const auto& [id, state] : running_) states.push_back(state);
    listenings = std::exchange(listenings_, {});
  }
  for (const auto& state : states) state->stop.request_stop();
  for (auto& [id, listening] : listenings) {
    if (listening == nullptr) continue;
    const std::string end = listening->EndAnswer();
    listening.reset();
    Send(end);
  }
}

bool Session::Finish(const RequestId& id, const PendingCall::State& state) {
  absl::MutexLock lock(&mutex_);
  // The id may be in use again: a call that was finished is finished once more when it is
  // destroyed.
  const auto found = running_.find(id.json);
  if (found != running_.end() && found->second.get() == &state) running_.erase(found);
  return !state.cancelled_by_client;
}

Negotiated Session::negotiated() {
  absl::MutexLock lock(&mutex_);
  return negotiated_;
}

void Session::SetNegotiated(const Negotiated& negotiated) {
  absl::MutexLock lock(&mutex_);
  negotiated_ = negotiated;
}

}  // namespace contree::gateway
