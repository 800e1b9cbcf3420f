#include "gateway/transport/batch.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "gateway/jsonrpc/error.h"

namespace contree::gateway {
namespace {

// Calls `done` when nobody can add an answer any more.
class Answers {
 public:
  explicit Answers(std::function<void(std::string)> done) : done_(std::move(done)) {}
  ~Answers() {
    absl::MutexLock lock(&mutex_);
    done_(answers_.empty() ? "" : absl::StrCat("[", absl::StrJoin(answers_, ","), "]"));
  }
  void Add(std::string answer) {
    absl::MutexLock lock(&mutex_);
    answers_.push_back(std::move(answer));
  }

 private:
  const std::function<void(std::string)> done_;
  absl::Mutex mutex_;
  std::vector<std::string> answers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

void RunBatch(std::vector<ParsedMessage> messages,
              const std::function<Session::Accepted(ParsedMessage)>& accept, WorkerPool& pool,
              std::function<void(std::string answers)> done) {
  const auto answers = std::make_shared<Answers>(std::move(done));
  for (ParsedMessage& message : messages) {
    if (message.message.ok() && message.message->method() == "initialize") {
      message.message = InvalidRequest("initialize cannot be part of a batch");
    }
    Session::Accepted accepted = accept(std::move(message));
    if (accepted.answer.has_value()) answers->Add(*std::move(accepted.answer));
    if (accepted.call == nullptr) continue;
    PendingCall& call = *accepted.call;
    absl::AnyInvocable<void()> task = [answers, owned = std::move(accepted.call)]() mutable {
      if (std::optional<Answer> answer = owned->Run()) answers->Add(std::move(answer->json));
      owned = nullptr;  // before the last of the answers lets go of what it needs
    };
    if (!pool.TryRun(task)) {
      answers->Add(
          call.Refuse("too many calls run at the same time; wait until some have ended").json);
    }
  }
}

}  // namespace contree::gateway
