#include "gateway/transport/push_streams.h"

#include <functional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/telemetry/metrics.h"
#include "gateway/jsonrpc/error.h"
#include "gateway/mcp/listening.h"
#include "gateway/transport/streamed_call.h"

namespace contree::gateway {
namespace {

GaugeMetric& OpenStreams() {
  static auto& metric =
      *new GaugeMetric("contree_open_streams", "Streams of events that clients listen to.");
  return metric;
}

}  // namespace

// One stream. It lives as long as its answer is open.
class PushStreams::Stream {
 public:
  // What the stream carries: begins with the first, ends with its destruction.
  using Source = std::unique_ptr<Listening>;

  // Makes what there is to say; called once the answer has begun.
  std::function<Source(const std::shared_ptr<HttpPush>& push)> begin;
  // After the end, however it came.
  std::function<void()> after = nullptr;

  void Begin(const std::shared_ptr<HttpPush>& push) {
    // Held meanwhile: whoever ends it has to find what it carries. Beginning never waits.
    absl::MutexLock lock(&mutex_);
    if (closed_) return;
    push_ = push;
    source_ = begin(push);
  }
  void Close() {
    Source source;
    std::shared_ptr<HttpPush> push;
    {
      absl::MutexLock lock(&mutex_);
      closed_ = true;
      source.swap(source_);
      push.swap(push_);
    }
    source.reset();
    if (after != nullptr) after();
  }
  void End() {
    Source source;
    std::shared_ptr<HttpPush> push;
    {
      absl::MutexLock lock(&mutex_);
      closed_ = true;
      source.swap(source_);
      push.swap(push_);
    }
    if (push == nullptr) return;
    const std::string last = source == nullptr ? "" : EventText(source->EndAnswer());
    source.reset();  // nothing comes behind the last word
    push->Write(last);
    push->End();
  }

 private:
  absl::Mutex mutex_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  Source source_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<HttpPush> push_ ABSL_GUARDED_BY(mutex_);
};

PushStreams::PushStreams(const McpServer& server, HttpSessions& sessions,
                         std::unique_ptr<HttpPushLoop> loop, absl::Duration keep_alive,
                         size_t max_streams)
    : server_(server),
      sessions_(sessions),
      keep_alive_(keep_alive),
      max_streams_(max_streams),
      loop_(std::move(loop)) {
  OpenStreams().Add({}, 0);
}

PushStreams::~PushStreams() = default;

std::shared_ptr<PushStreams::Stream> PushStreams::NewStream(HttpExchange& exchange) {
  auto stream = std::make_shared<Stream>();
  {
    absl::MutexLock lock(&mutex_);
    if (!stopped_ && streams_.size() < max_streams_) {
      streams_.try_emplace(stream.get(), stream);
      OpenStreams().Add({}, 1);
      return stream;
    }
  }
  exchange.SetHeader("Retry-After", "5");
  exchange.Respond(
      503, "application/json",
      SerializeError(std::nullopt, absl::ResourceExhaustedError(absl::StrCat(
                                       "there are ", max_streams_, " open streams; end some"))));
  return nullptr;
}

void PushStreams::Forget(const Stream* stream) {
  absl::MutexLock lock(&mutex_);
  if (streams_.erase(stream) > 0) OpenStreams().Add({}, -1);
}

void PushStreams::Respond(const std::shared_ptr<Stream>& stream, HttpExchange& exchange) {
  exchange.SetHeader("Cache-Control", "no-cache");
  exchange.SetHeader("X-Accel-Buffering", "no");
  // Forgotten with the last of those that know it, also where the answer never began.
  const std::shared_ptr<Stream> known(
      stream.get(), [this, stream](Stream* known_stream) { Forget(known_stream); });
  exchange.RespondDetached(
      200, "text/event-stream", [this, known](std::unique_ptr<HttpDetachedStream> detached) {
        const std::shared_ptr<HttpPush> push =
            loop_->Add(std::move(detached), {.keep_alive = ": keep-alive\n\n",
                                             .keep_alive_after = keep_alive_,
                                             .closed = [known] { known->Close(); }});
        if (push != nullptr) known->Begin(push);
      });
}

void PushStreams::Listen(const RequestId& id, Message request, CallContext context,
                         HttpExchange& exchange) {
  if (const absl::Status valid = Listening::CheckRequest(request); !valid.ok()) {
    return exchange.Respond(400, "application/json", SerializeError(id, valid));
  }
  const std::shared_ptr<Stream> stream = NewStream(exchange);
  if (stream == nullptr) return;
  stream->begin = [this, id, shared = std::make_shared<Message>(std::move(request)),
                   context = std::move(context)](const std::shared_ptr<HttpPush>& push) {
    absl::StatusOr<std::unique_ptr<Listening>> listening =
        Listening::Begin(server_.catalog().resources, id, *shared, context,
                         [push](const std::string& message) { push->Write(EventText(message)); });
    if (listening.ok()) return *std::move(listening);
    push->Write(EventText(SerializeError(id, listening.status())));
    push->End();
    return std::unique_ptr<Listening>();
  };
  Respond(stream, exchange);
}

void PushStreams::Open(HttpSessions::Found session, HttpExchange& exchange) {
  const std::shared_ptr<Stream> stream = NewStream(exchange);
  if (stream == nullptr) return;
  stream->begin = [session](const std::shared_ptr<HttpPush>& push) {
    // A stream that is closed is gone: then nothing is said until there is another one.
    session.session->SetSink([weak = std::weak_ptr<HttpPush>(push)](const std::string& message) {
      if (const auto open = weak.lock()) open->Write(EventText(message));
    });
    push->Write(": open\n\n");  // from now on nothing is missed
    return std::unique_ptr<Listening>();
  };
  stream->after = [this, session = std::move(session)] {
    if (session.session->has_subscriptions()) sessions_.Keep(session);
  };
  Respond(stream, exchange);
}

void PushStreams::Stop() {
  std::vector<std::shared_ptr<Stream>> streams;
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
    for (const auto& [key, weak] : streams_) {
      if (auto stream = weak.lock()) streams.push_back(std::move(stream));
    }
  }
  for (const auto& stream : streams) stream->End();
  loop_->Stop();
}

}  // namespace contree::gateway
