#include "gateway/transport/stdio_transport.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "common/status/status_macros.h"
#include "gateway/jsonrpc/error.h"
#include "gateway/jsonrpc/message.h"
#include "gateway/mcp/session.h"
#include "gateway/transport/batch.h"
#include "gateway/transport/line_io.h"
#include "gateway/transport/worker_pool.h"

namespace contree::gateway {
namespace {

bool IsBlank(absl::string_view line) {
  return line.find_first_not_of(" \t") == absl::string_view::npos;
}

// Wires the parts together for one conversation.
class Conversation {
 public:
  Conversation(const McpServer& server, const StdioTransportOptions& options)
      : writer_(options.output_fd),
        session_(server, [this](std::string message) { Send(std::move(message)); }),
        pool_(options.max_calls) {}

  // Requested when nobody reads the output any more.
  std::stop_token broken() const { return broken_.get_token(); }

  void Send(std::string message) {
    if (!writer_.Write(std::move(message)).ok()) broken_.request_stop();
  }

  void Take(absl::string_view line) {
    if (IsBatch(line) && HasBatches(session_.negotiated().version)) return TakeBatch(line);
    Session::Accepted accepted = session_.Accept(line);
    if (accepted.answer.has_value()) absl::StrAppend(&ready_, *accepted.answer, "\n");
    if (accepted.call == nullptr) return;
    if (accepted.call->effort() == Effort::kImmediate) {
      if (std::optional<Answer> answer = accepted.call->Run()) {
        absl::StrAppend(&ready_, answer->json, "\n");
      }
      return;
    }
    PendingCall& call = *accepted.call;
    absl::AnyInvocable<void()> task = [this, owned = std::move(accepted.call)] { Run(*owned); };
    if (!pool_.TryRun(task)) {
      Send(call.Refuse("too many calls run at the same time; wait until some have ended").json);
    }
  }

  // Sends what was answered at once. Many small answers leave together: a client that sends several
  // requests at a time is answered with as few writes as it made.
  void Flush() {
    if (ready_.empty()) return;
    if (!writer_.WriteLines(ready_).ok()) broken_.request_stop();
    ready_.clear();
    if (ready_.capacity() > kMaxReadyBytes) std::string().swap(ready_);
  }
  bool ready_is_large() const { return ready_.size() >= kMaxReadyBytes; }

  void End(absl::Duration grace) {
    if (!broken_.stop_requested()) pool_.WaitUntilIdle(absl::Now() + grace);
    session_.Stop();
    pool_.WaitUntilIdle(absl::InfiniteFuture());
  }

 private:
  void TakeBatch(absl::string_view line) {
    absl::StatusOr<std::vector<ParsedMessage>> messages = ParseBatch(line);
    if (!messages.ok()) return Send(SerializeError(std::nullopt, messages.status()));
    RunBatch(
        *std::move(messages),
        [this](ParsedMessage message) { return session_.Accept(std::move(message)); }, pool_,
        [this](std::string answers) {
          if (!answers.empty()) Send(std::move(answers));
        });
  }

  void Run(PendingCall& call) {
    if (std::optional<Answer> answer = call.Run()) Send(std::move(answer->json));
  }

  static constexpr size_t kMaxReadyBytes = 64 * 1024;

  std::stop_source broken_;
  std::string ready_;  // used by the thread that reads
  LineWriter writer_;
  Session session_;
  WorkerPool pool_;  // last: its tasks use all of the above
};

}  // namespace

absl::Status RunStdioTransport(const McpServer& server, const StdioTransportOptions& options,
                               std::stop_token stop) {
  const size_t max_bytes = ParseLimits().max_bytes;
  ASSIGN_OR_RETURN(LineReader reader, LineReader::Create(options.input_fd, max_bytes));
  Conversation conversation(server, options);
  std::stop_source stop_reading;
  const auto forward = [&stop_reading] { stop_reading.request_stop(); };
  const std::stop_callback on_stop(std::move(stop), forward);
  const std::stop_callback on_broken(conversation.broken(), forward);

  absl::Status status;
  while (true) {
    const absl::StatusOr<std::optional<absl::string_view>> line =
        reader.Next(stop_reading.get_token());
    if (absl::IsResourceExhausted(line.status())) {
      conversation.Flush();
      conversation.Send(SerializeError(std::nullopt, InvalidRequest(line.status().message())));
      continue;
    }
    if (!line.ok()) status = line.status();
    if (!line.ok() || !line->has_value()) break;
    if (!IsBlank(**line)) conversation.Take(**line);
    if (!reader.HasLine() || conversation.ready_is_large()) conversation.Flush();
  }
  conversation.Flush();
  conversation.End(options.grace);
  if (status.ok() && conversation.broken().stop_requested()) {
    status = absl::UnavailableError("writing output failed: the client has closed it");
  }
  return status;
}

}  // namespace contree::gateway
