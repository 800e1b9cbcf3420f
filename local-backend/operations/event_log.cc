#include "local-backend/operations/event_log.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"

namespace contree {
namespace {

std::string Dump(const nlohmann::json& data) {
  return data.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

std::string FormatApiTime(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d%ET%H:%M:%E6S+00:00", time, absl::UTCTimeZone());
}

EventLog::EventLog(absl::string_view saved) : sealed_(true), closed_(true) {
  for (absl::string_view line : absl::StrSplit(saved, '\n', absl::SkipEmpty())) {
    const auto event = nlohmann::json::parse(line.begin(), line.end(), nullptr, false);
    if (!event.is_object()) continue;
    events_.push_back({.id = event.value("id", int64_t{0}),
                       .spid = event.value("spid", 0),
                       .type = event.value("type", std::string()),
                       .json = std::string(line)});
  }
}

Event EventLog::Make(int spid, const std::string& type, const std::string& data) const {
  Event event;
  event.id = static_cast<int64_t>(events_.size());
  event.spid = spid;
  event.type = type;
  event.json = absl::StrCat("{\"id\":", event.id, ",\"ts\":\"", FormatApiTime(absl::Now()),
                            "\",\"spid\":", spid, ",\"type\":\"", type, "\",\"data\":", data, "}");
  return event;
}

Event EventLog::Prepare(int spid, const std::string& type, const nlohmann::json& data) {
  const std::string text = Dump(data);
  const absl::MutexLock lock(&mutex_);
  sealed_ = true;
  return Make(spid, type, text);
}

void EventLog::Append(int spid, const std::string& type, const nlohmann::json& data) {
  const std::string text = Dump(data);
  const absl::MutexLock lock(&mutex_);
  if (sealed_) return;
  events_.push_back(Make(spid, type, text));
  bytes_ += static_cast<int64_t>(sizeof(Event) + events_.back().json.size());
  TellListeners();
}

int64_t EventLog::bytes() const {
  const absl::MutexLock lock(&mutex_);
  return bytes_;
}

std::string EventLog::SaveWith(const Event& last) const {
  const absl::MutexLock lock(&mutex_);
  std::string text;
  for (const Event& event : events_) absl::StrAppend(&text, event.json, "\n");
  absl::StrAppend(&text, last.json, "\n");
  return text;
}

void EventLog::Close(Event last) {
  const absl::MutexLock lock(&mutex_);
  events_.push_back(std::move(last));
  closed_ = true;
  TellListeners();
}

void EventLog::TellListeners() {
  for (const auto& [id, listener] : listeners_) listener();
}

EventLog::ListenerId EventLog::Listen(std::function<void()> listener) const {
  const absl::MutexLock lock(&mutex_);
  listeners_.emplace(++last_listener_, std::move(listener));
  return last_listener_;
}

void EventLog::Unlisten(ListenerId id) const {
  const absl::MutexLock lock(&mutex_);
  listeners_.erase(id);
}

EventLog::Page EventLog::Read(int64_t first, absl::Duration patience, int64_t max_bytes) const {
  const absl::MutexLock lock(&mutex_);
  const auto ready = [this, first]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return closed_ || static_cast<int64_t>(events_.size()) > first;
  };
  mutex_.AwaitWithTimeout(absl::Condition(&ready), patience);
  Page page;
  const size_t begin = first < 0 ? 0 : static_cast<size_t>(first);
  size_t end = begin;
  for (int64_t bytes = 0; end < events_.size() && (end == begin || bytes < max_bytes); ++end) {
    bytes += static_cast<int64_t>(events_[end].json.size());
  }
  page.closed = closed_ && end >= events_.size();
  if (begin < end) {
    page.events.assign(events_.begin() + static_cast<std::ptrdiff_t>(begin),
                       events_.begin() + static_cast<std::ptrdiff_t>(end));
  }
  return page;
}

}  // namespace contree
