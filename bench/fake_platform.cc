#include "bench/fake_platform.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "common/status/status_macros.h"
#include "common/uuid/uuid.h"

namespace contree::bench {
namespace {

constexpr char kImage[] = "95ba4f1b-a511-325b-8000-000000000002";

std::string Frame(int id, const std::string& type, const std::string& data) {
  return absl::StrCat("id: ", id, "\nevent: ", type, "\ndata: {\"id\":", id,
                      ",\"ts\":\"2026-09-18T07:51:35.625570Z\",\"spid\":", type == "stdout" ? 1 : 0,
                      ",\"type\":\"", type, "\",\"data\":", data, "}\n\n");
}

std::string Record(const std::string& id, bool is_final) {
  const std::string result =
      R"({"state":{"exit_code":0,"signal":-1,"timed_out":false},"stdout":{"value":"done\n",)"
      R"("encoding":"ascii"},"stderr":{"value":"","encoding":"ascii"},"resources":{}})";
  return absl::StrCat(R"({"uuid":")", id, R"(","kind":"instance","status":")",
                      is_final ? "SUCCESS" : "EXECUTING",
                      R"(","error":null,"created_at":"2026-09-18T07:51:35.6Z","duration":0.5,)",
                      R"("image_uuid":")", kImage,
                      R"(","result_image_uuid":null,"metadata":{"command":"true","args":[],)",
                      R"("result":)", is_final ? result : "null", "}}");
}

}  // namespace

absl::StatusOr<std::unique_ptr<FakePlatform>> FakePlatform::Start() {
  std::unique_ptr<FakePlatform> platform(new FakePlatform);
  ASSIGN_OR_RETURN(
      platform->server_,
      HttpServer::Start({.max_connections = 4096},
                        [raw = platform.get()](HttpExchange& exchange) { raw->Handle(exchange); }));
  return platform;
}

FakePlatform::~FakePlatform() {
  for (const auto& [id, operation] : operations_) Complete(id);
  server_->Stop();
}

std::string FakePlatform::PathOfFile(int64_t bytes) { return absl::StrCat("/", bytes); }

std::shared_ptr<FakePlatform::Operation> FakePlatform::Find(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = operations_.find(id);
  return found == operations_.end() ? nullptr : found->second;
}

void FakePlatform::Complete(const std::string& id) {
  const auto operation = Find(id);
  if (operation == nullptr) return;
  if (const absl::Duration latency = latency_; latency > absl::ZeroDuration())
    absl::SleepFor(latency);
  const std::lock_guard lock(operation->mutex);
  operation->is_final = true;
  operation->changed.notify_all();
}

void FakePlatform::SendLineToAll() {
  std::vector<std::shared_ptr<Operation>> all;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, operation] : operations_) all.push_back(operation);
  }
  for (const auto& operation : all) {
    const std::lock_guard lock(operation->mutex);
    ++operation->lines;
    operation->changed.notify_all();
  }
}

void FakePlatform::Handle(HttpExchange& exchange) {
  if (const absl::Duration latency = latency_; latency > absl::ZeroDuration())
    absl::SleepFor(latency);
  absl::string_view path = exchange.path();
  if (exchange.method() == "POST" && path == "/v1/instances") return Start(exchange);
  if (exchange.method() == "POST" && path == "/v1/files") {
    int64_t size = 0;
    const absl::Status read = exchange.ReadBody(size_t{64} << 30, [&](absl::string_view bytes) {
      size += static_cast<int64_t>(bytes.size());
      return absl::OkStatus();
    });
    if (!read.ok()) return exchange.Respond(400);
    return exchange.Respond(201, "application/json",
                            absl::StrCat(R"({"uuid":"f","sha256":"","size":)", size, "}"));
  }
  if (absl::ConsumePrefix(&path, "/v1/operations/")) {
    if (absl::ConsumeSuffix(&path, "/events")) return ShowEvents(exchange, std::string(path));
    return ShowRecord(exchange, std::string(path));
  }
  int64_t bytes = 0;
  if (absl::EndsWith(path, "/download") &&
      absl::SimpleAtoi(exchange.Query("path").value_or("").substr(1), &bytes)) {
    return exchange.RespondStream(
        200, "application/octet-stream", [bytes](HttpResponseStream& stream) {
          const std::string piece(256 << 10, 'x');
          for (int64_t left = bytes; left > 0;) {
            const auto size = static_cast<size_t>(std::min<int64_t>(left, piece.size()));
            if (!stream.Write(absl::string_view(piece).substr(0, size))) return;
            left -= static_cast<int64_t>(size);
          }
        });
  }
  exchange.Respond(404, "application/json", R"({"error":"not found"})");
}

void FakePlatform::Start(HttpExchange& exchange) {
  if (!exchange.ReadBody(1 << 20).ok()) return exchange.Respond(400);
  const std::string id = NewUuidV7(absl::Now());
  {
    const std::lock_guard lock(mutex_);
    operations_[id] = std::make_shared<Operation>();
  }
  exchange.Respond(201, "application/json", absl::StrCat(R"({"uuid":")", id, "\"}"));
}

void FakePlatform::ShowRecord(HttpExchange& exchange, const std::string& id) {
  const auto operation = Find(id);
  if (operation == nullptr) return exchange.Respond(404, "application/json", "{}");
  bool is_final = false;
  {
    const std::lock_guard lock(operation->mutex);
    is_final = operation->is_final;
  }
  exchange.Respond(200, "application/json", Record(id, is_final));
}

void FakePlatform::ShowEvents(HttpExchange& exchange, const std::string& id) {
  const auto operation = Find(id);
  if (operation == nullptr) return exchange.Respond(404, "application/json", "{}");
  exchange.RespondStream(200, "text/event-stream", [this, operation](HttpResponseStream& stream) {
    ++open_streams_;
    int next_id = 0;
    int lines = 0;
    bool goes_on = stream.Write(Frame(next_id++, "init", "{}"));
    while (goes_on) {
      std::string frames;
      {
        std::unique_lock lock(operation->mutex);
        operation->changed.wait(lock,
                                [&] { return operation->is_final || operation->lines > lines; });
        for (; lines < operation->lines; ++lines)
          frames += Frame(next_id++, "stdout", R"({"value":"a line\n","encoding":"ascii"})");
        if (operation->is_final) {
          frames += Frame(next_id++, "completion", R"({"status":"SUCCESS","duration_ms":5})");
          goes_on = false;
        }
      }
      if (!stream.Write(frames)) break;
    }
    --open_streams_;
  });
}

}  // namespace contree::bench
