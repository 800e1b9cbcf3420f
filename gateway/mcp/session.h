#ifndef GATEWAY_MCP_SESSION_H_
#define GATEWAY_MCP_SESSION_H_

// One client's conversation: which of its requests run, how to cancel them, where its
// notifications go. A transport without sessions makes one for each request.

#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "gateway/mcp/mcp_server.h"
#include "gateway/mcp/progress.h"

namespace contree::gateway {

class Session;

// A request that was taken and waits to be run. Its Session must outlive it.
class PendingCall {
 public:
  ~PendingCall();

  Effort effort() const { return effort_; }
  // Whether the client asked for notifications about it.
  bool wants_progress() const { return progress_token_json_.has_value(); }
  // There is no way to send them: none will be made. Only before Run.
  void DropProgress() { progress_token_json_.reset(); }

  // Runs it, once, and returns the answer; nullopt: the client has cancelled it and gets none.
  std::optional<std::string> Run();

  // The answer for a call that cannot be run: there is no room for it now.
  std::string Refuse(absl::string_view reason);

  // Nobody reads the answer any more: Run returns soon. Operations go on. Thread-safe.
  void Stop();

 private:
  friend class Session;
  struct State;

  PendingCall(Session& session, RequestId id, Message message, std::shared_ptr<State> state);

  Session& session_;
  const RequestId id_;
  Message message_;
  const Effort effort_;
  std::optional<std::string> progress_token_json_;
  const std::shared_ptr<State> state_;
};

// Thread-safe.
class Session {
 public:
  // `server` must outlive it. `sink` is called by the threads that run calls.
  Session(const McpServer& server, NotificationSink sink);
  ~Session();

  // What came of one message: an answer that is ready, a call to run, or neither.
  struct Accepted {
    std::optional<std::string> answer = std::nullopt;
    // The answer says that the text is no usable message.
    bool is_malformed = false;
    std::unique_ptr<PendingCall> call = nullptr;
  };

  // Takes the messages in the order in which they arrive. Does not block: a request becomes a call,
  // so that a cancellation behind it finds it whether it runs already or not.
  Accepted Accept(absl::string_view text);

  // Nobody reads this client's answers any more: all its calls, also later ones, end soon.
  void Stop();

 private:
  friend class PendingCall;

  void HandleNotification(const Message& message);
  void Cancel(const RequestId& id);
  // False: the client cancelled the call in time.
  bool Finish(const RequestId& id, const PendingCall::State& state);

  const McpServer& server_;
  const NotificationSink sink_;
  absl::Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  absl::flat_hash_map<std::string, std::shared_ptr<PendingCall::State>> running_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace contree::gateway

#endif  // GATEWAY_MCP_SESSION_H_
