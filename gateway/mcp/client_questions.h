#ifndef GATEWAY_MCP_CLIENT_QUESTIONS_H_
#define GATEWAY_MCP_CLIENT_QUESTIONS_H_

// What the server asks its client in the earlier era: requests that go the other way, and the
// responses that come back as messages of their own.

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "gateway/jsonrpc/message.h"
#include "gateway/mcp/input_required.h"
#include "gateway/mcp/progress.h"

namespace contree::gateway {

// Of one conversation. Thread-safe.
class ClientQuestions {
 public:
  // Sends the requests to `sink` and waits until all are answered: the results by the requests'
  // keys. FailedPrecondition: the client answered one with an error. DeadlineExceeded: it took
  // longer than `timeout`. Cancelled: `stop` was requested.
  absl::StatusOr<nlohmann::json> Ask(const std::vector<InputRequest>& requests,
                                     const NotificationSink& sink, absl::Duration timeout,
                                     const std::stop_token& stop);

  // A response of the client; one that nobody waits for is dropped.
  void Answer(const RequestId& id, Message response);

 private:
  struct Question {
    std::optional<Message> response = std::nullopt;
  };

  bool AllAnswered(const std::vector<RequestId>& ids) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Mutex mutex_;
  absl::CondVar changed_;
  int64_t next_ ABSL_GUARDED_BY(mutex_) = 1;
  absl::flat_hash_map<std::string, Question> questions_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace contree::gateway

#endif  // GATEWAY_MCP_CLIENT_QUESTIONS_H_
