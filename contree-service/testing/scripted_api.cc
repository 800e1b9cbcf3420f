#include "contree-service/testing/scripted_api.h"

#include <cstdlib>
#include <iostream>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace contree {

void EventFeed::Send(int id, const std::string& type, const std::string& data, int spid) {
  absl::MutexLock lock(&mutex_);
  frames_.push_back(
      {.id = id,
       .bytes = absl::StrCat("id: ", id, "\nevent: ", type, "\ndata: {\"id\":", id,
                             ",\"ts\":\"2026-09-18T07:51:35.625570Z\",\"spid\":", spid,
                             ",\"type\":\"", type, "\",\"data\":", data, "}\n\n")});
}

void EventFeed::SendRaw(const std::string& bytes) {
  absl::MutexLock lock(&mutex_);
  frames_.push_back({.id = -1, .bytes = bytes});
}

void EventFeed::Stall() {
  absl::MutexLock lock(&mutex_);
  stalled_ = static_cast<int>(last_event_ids_.size());
}

void EventFeed::CloseConnections() {
  absl::MutexLock lock(&mutex_);
  ++generation_;
}

void EventFeed::Serve(HttpExchange& exchange) {
  const std::string last = exchange.Header("Last-Event-Id").value_or("");
  int after = -1;
  if (!absl::SimpleAtoi(last, &after)) after = -1;
  int generation = 0;
  int number = 0;
  {
    absl::MutexLock lock(&mutex_);
    last_event_ids_.push_back(last);
    number = static_cast<int>(last_event_ids_.size());
    generation = generation_;
    ++open_;
  }
  exchange.RespondStream(
      200, "text/event-stream", [this, after, generation, number](HttpResponseStream& stream) {
        size_t next = 0;
        bool open = true;
        while (open) {
          std::string bytes;
          {
            absl::MutexLock lock(&mutex_);
            const auto changed = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
              return (next < frames_.size() && number > stalled_) || generation_ != generation;
            };
            mutex_.AwaitWithTimeout(absl::Condition(&changed), absl::Milliseconds(50));
            for (; next < frames_.size() && number > stalled_; ++next) {
              Frame& frame = frames_[next];
              if (frame.id > after) bytes += frame.bytes;
              if (frame.id < 0) bytes += std::exchange(frame.bytes, "");
            }
            open = generation_ == generation;
          }
          open = (bytes.empty() || stream.Write(bytes)) && open && stream.IsOpen();
        }
        absl::MutexLock lock(&mutex_);
        --open_;
      });
}

int EventFeed::connections() const {
  absl::MutexLock lock(&mutex_);
  return static_cast<int>(last_event_ids_.size());
}

int EventFeed::open_connections() const {
  absl::MutexLock lock(&mutex_);
  return open_;
}

std::vector<std::string> EventFeed::last_event_ids() const {
  absl::MutexLock lock(&mutex_);
  return last_event_ids_;
}

void EventFeed::AwaitConnections(int count) const {
  absl::MutexLock lock(&mutex_);
  const auto made = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return static_cast<int>(last_event_ids_.size()) >= count;
  };
  mutex_.Await(absl::Condition(&made));
}

void EventFeed::AwaitOpenConnections(int count) const {
  absl::MutexLock lock(&mutex_);
  const auto there = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return open_ == count; };
  mutex_.Await(absl::Condition(&there));
}

ScriptedApi::ScriptedApi() {
  auto server = HttpServer::Start({.max_connections = 2048},
                                  [this](HttpExchange& exchange) { Handle(exchange); });
  if (!server.ok()) {
    std::cerr << server.status() << std::endl;
    std::abort();
  }
  server_ = *std::move(server);
}

ScriptedApi::~ScriptedApi() { server_->Stop(); }

void ScriptedApi::On(const std::string& method_and_path, HttpHandler handler) {
  absl::MutexLock lock(&mutex_);
  handlers_[method_and_path] = std::move(handler);
}

void ScriptedApi::On(const std::string& method_and_path, int status, const std::string& json) {
  On(method_and_path, [status, json](HttpExchange& exchange) {
    exchange.Respond(status, "application/json", json);
  });
}

void ScriptedApi::SetOperation(const std::string& id, const std::string& status,
                               const std::string& output) {
  const bool is_final = status == "SUCCESS" || status == "FAILED" || status == "CANCELLED";
  const std::string result = absl::StrCat(
      R"({"state":{"exit_code":0,"signal":-1,"timed_out":false},"stdout":{"value":")", output,
      R"(","encoding":"ascii","truncated":false},"stderr":{"value":"","encoding":"ascii"},"resources":{}})");
  On("GET /v1/operations/" + id, 200,
     absl::StrCat(
         R"({"uuid":")", id, R"(","kind":"instance","status":")", status,
         R"(","error":null,"created_at":"2026-09-18T07:51:35.625570+00:00","duration":0.5,)",
         R"("image_uuid":"95ba4f1b-a511-325b-8000-000000000002","result_image_uuid":null,)",
         R"("metadata":{"command":"echo","args":[],"result":)", is_final ? result : "null", "}}"));
}

EventFeed& ScriptedApi::Feed(const std::string& id) {
  std::shared_ptr<EventFeed> feed;
  {
    absl::MutexLock lock(&mutex_);
    std::shared_ptr<EventFeed>& known = feeds_[id];
    if (known == nullptr) known = std::make_shared<EventFeed>();
    feed = known;
  }
  On(absl::StrCat("GET /v1/operations/", id, "/events"),
     [feed](HttpExchange& exchange) { feed->Serve(exchange); });
  return *feed;
}

int ScriptedApi::Count(const std::string& method_and_path) const {
  absl::MutexLock lock(&mutex_);
  const auto found = counts_.find(method_and_path);
  return found == counts_.end() ? 0 : found->second;
}

void ScriptedApi::AwaitCount(const std::string& method_and_path, int count) const {
  absl::MutexLock lock(&mutex_);
  const auto asked = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto found = counts_.find(method_and_path);
    return found != counts_.end() && found->second >= count;
  };
  mutex_.Await(absl::Condition(&asked));
}

void ScriptedApi::Handle(HttpExchange& exchange) {
  HttpHandler handler;
  {
    absl::MutexLock lock(&mutex_);
    const std::string key = absl::StrCat(exchange.method(), " ", exchange.path());
    ++counts_[key];
    if (const auto found = handlers_.find(key); found != handlers_.end()) handler = found->second;
  }
  if (handler != nullptr) {
    handler(exchange);
  } else {
    exchange.Respond(404, "application/json", R"({"error":"not found","status":404})");
  }
}

}  // namespace contree
