#include "gateway/mcp/client_questions.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/text/json_text.h"

namespace contree::gateway {
namespace {

using nlohmann::json;

absl::StatusOr<json> ResultOf(const InputRequest& request, Message& response) {
  json& content = response.params();
  if (const auto result = content.find("result"); result != content.end() && result->is_object()) {
    return std::move(*result);
  }
  const auto error = content.find("error");
  const auto message = error == content.end() ? error : error->find("message");
  const bool has_message =
      error != content.end() && message != error->end() && message->is_string();
  constexpr size_t kMaxShownBytes = 500;
  return absl::FailedPreconditionError(
      absl::StrCat("the client did not do what it was asked for (", request.method, "): ",
                   has_message ? message->get_ref<const std::string&>().substr(0, kMaxShownBytes)
                               : std::string("it gave no reason")));
}

}  // namespace

absl::StatusOr<json> ClientQuestions::Ask(const std::vector<InputRequest>& requests,
                                          const NotificationSink& sink, absl::Duration timeout,
                                          const std::stop_token& stop) {
  std::vector<RequestId> ids;
  {
    absl::MutexLock lock(&mutex_);
    for (size_t i = 0; i < requests.size(); ++i) {
      ids.push_back({ToJsonString(absl::StrCat("contree-", next_++))});
      questions_.try_emplace(ids.back().json);
    }
  }
  for (size_t i = 0; i < requests.size(); ++i) {
    sink(SerializeRequest(ids[i], requests[i].method, ToJsonText(requests[i].params)));
  }
  const absl::Time deadline = absl::Now() + timeout;
  const std::stop_callback on_stop(stop, [this] {
    absl::MutexLock lock(&mutex_);
    changed_.SignalAll();
  });
  std::vector<std::optional<Message>> responses;
  bool all_answered = false;
  {
    absl::MutexLock lock(&mutex_);
    while (!(all_answered = AllAnswered(ids)) && !stop.stop_requested() &&
           !changed_.WaitWithDeadline(&mutex_, deadline)) {
    }
    for (const RequestId& id : ids) {
      responses.push_back(std::move(questions_.extract(id.json).mapped().response));
    }
  }
  if (!all_answered && stop.stop_requested()) {
    return absl::CancelledError("nobody waits for the client's answer any more");
  }
  json results = json::object();
  for (size_t i = 0; i < requests.size(); ++i) {
    if (!responses[i].has_value()) {
      return absl::DeadlineExceededError(absl::StrCat("the client did not answer ",
                                                      requests[i].method, " within ",
                                                      absl::FormatDuration(timeout)));
    }
    absl::StatusOr<json> result = ResultOf(requests[i], *responses[i]);
    if (!result.ok()) return result.status();
    results[requests[i].key] = *std::move(result);
  }
  return results;
}

void ClientQuestions::Answer(const RequestId& id, Message response) {
  absl::MutexLock lock(&mutex_);
  const auto found = questions_.find(id.json);
  if (found == questions_.end() || found->second.response.has_value()) return;
  found->second.response = std::move(response);
  changed_.SignalAll();
}

bool ClientQuestions::AllAnswered(const std::vector<RequestId>& ids) const {
  for (const RequestId& id : ids) {
    const auto found = questions_.find(id.json);
    if (found != questions_.end() && !found->second.response.has_value()) return false;
  }
  return true;
}

}  // namespace contree::gateway
