#ifndef GATEWAY_MCP_SESSION_H_
#define GATEWAY_MCP_SESSION_H_

// One client's conversation: which of its requests run, how to cancel them, what it has agreed on.
// A transport without sessions makes one for each request.

#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "gateway/mcp/caller.h"
#include "gateway/mcp/client_questions.h"
#include "gateway/mcp/listening.h"
#include "gateway/mcp/mcp_server.h"
#include "gateway/mcp/progress.h"
#include "gateway/mcp/request_meta.h"
#include "gateway/mcp/subscribed_resources.h"

namespace contree::gateway {

class Session;
struct CallOptions;

// What the client gets for a request: a whole JSON-RPC message.
struct Answer {
  std::string json;
  // JSON-RPC's code of an error; 0: it is a result.
  int error_code = 0;
  // What the conversation has agreed on with this answer.
  std::optional<Negotiated> negotiated = std::nullopt;
};

// A request that was taken and waits to be run. Its Session must outlive it.
class PendingCall {
 public:
  ~PendingCall();

  Era era() const { return meta_.era; }
  Effort effort() const { return effort_; }
  // Whether the client may be asked for something before there is an answer.
  bool may_ask() const;
  // Whether the client asked for notifications about this request.
  bool wants_notifications() const {
    return meta_.progress_token_json.has_value() || meta_.log_level.has_value();
  }
  // There is no way to send them, nor to ask the client: it is not tried. Only before Run.
  void DropNotifications() { sink_ = nullptr; }

  // Runs it, once, and returns the answer; nullopt: the client has cancelled it and gets none.
  std::optional<Answer> Run();
  // The answer for a call that cannot be run: there is no room for it now.
  Answer Refuse(absl::string_view reason);

  // Nobody reads the answer any more: Run returns soon. Operations go on. Thread-safe.
  void Stop();
  // The client has cancelled it: Run returns soon, and what it began is cancelled too. Thread-safe.
  void Cancel();

 private:
  friend class Session;
  struct State;
  PendingCall(Session& session, RequestId id, Message message, RequestMeta meta,
              CallOptions options, std::shared_ptr<State> state);

  RequestContext NewContext();
  absl::StatusOr<HandledRequest> Handle(RequestContext& context);
  // With what InputRequired asks for, in the way of each era.
  absl::StatusOr<HandledRequest> HandleStateless();
  absl::StatusOr<HandledRequest> HandleInSession();
  Answer ToAnswer(absl::StatusOr<HandledRequest> handled);

  Session& session_;
  const RequestId id_;
  Message message_;
  const RequestMeta meta_;
  const Negotiated negotiated_;
  const Caller caller_;
  const Effort effort_;
  NotificationSink sink_;
  std::optional<ProgressReporter> progress_;
  const std::shared_ptr<State> state_;
};

struct SessionOptions {
  TransportKind transport = TransportKind::kStdio;
  // Whether all messages of the client come to this Session, so that what one of them begins
  // another one can go on with: asking the client, and telling it of changes. Only of
  // Era::kSessions.
  bool is_whole = true;
};

// How one request of several that share a Session is answered.
struct CallOptions {
  NotificationSink sink = nullptr;  // takes notifications about it
  Negotiated negotiated = {};       // what holds for it, of Era::kSessions
  Caller caller = {};
};

// Thread-safe.
class Session {
 public:
  // `server` must outlive it. `sink` takes what is not about a request that came with a sink of its
  // own, from any thread; null: there is no way to send that (yet).
  Session(const McpServer& server, NotificationSink sink, SessionOptions options = {});
  ~Session();

  // What came of one message: an answer that is ready, a call to run, or neither.
  struct Accepted {
    std::optional<std::string> answer = std::nullopt;
    // The answer says that the message or what goes with it cannot be used.
    bool is_malformed = false;
    std::unique_ptr<PendingCall> call = nullptr;
  };
  // Takes the messages in the order in which they arrive. Does not block: a request becomes a call,
  // so that a cancellation behind it finds it whether it runs already or not.
  Accepted Accept(absl::string_view text);
  // The same for what is parsed already, and for each message of a batch.
  Accepted Accept(ParsedMessage parsed);
  // The same. `meta` is what ReadRequestMeta says of a request; of other messages it is not looked
  // at. subscriptions/listen is not taken this way.
  Accepted Accept(ParsedMessage parsed, absl::StatusOr<RequestMeta> meta, CallOptions options);

  // Where later what is not about one request goes; null: nowhere. Returns when the one before is
  // not called any more.
  void SetSink(NotificationSink sink);
  bool has_subscriptions();
  Negotiated negotiated();

  // Nobody reads this client's answers any more: subscriptions end, and all its calls, also later
  // ones, soon.
  void Stop();

 private:
  friend class PendingCall;

  void HandleNotification(const Message& message);
  Accepted Listen(const RequestId& id, const Message& request, const RequestMeta& meta);
  absl::StatusOr<HandledRequest> Subscribe(const Message& request, const RequestContext& context);
  void Cancel(const RequestId& id);
  void Send(const std::string& message);
  // False: the client cancelled the call in time.
  bool Finish(const RequestId& id, const PendingCall::State& state);
  void SetNegotiated(const Negotiated& negotiated);

  const McpServer& server_;
  const SessionOptions options_;
  ClientQuestions questions_;

  // Held while it is called.
  absl::Mutex sink_mutex_;
  NotificationSink sink_ ABSL_GUARDED_BY(sink_mutex_);

  absl::Mutex mutex_;
  Negotiated negotiated_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  absl::flat_hash_map<std::string, std::shared_ptr<PendingCall::State>> running_
      ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, std::unique_ptr<Listening>> listenings_ ABSL_GUARDED_BY(mutex_);
  // Of Era::kSessions, made with the first one.
  std::unique_ptr<SubscribedResources> subscribed_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace contree::gateway

#endif  // GATEWAY_MCP_SESSION_H_
