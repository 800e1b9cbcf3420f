#include "contree-service/operations/operations_list_reader.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "common/status/status_macros.h"
#include "common/telemetry/logging.h"
#include "contree-service/api/operation_json.h"
#include "contree-service/api/proto_time.h"

namespace contree {
namespace {

// Whether the platform's time bounds are inclusive, and how fine they are, is not documented.
constexpr absl::Duration kOverlap = absl::Seconds(1);
// An operation that is not final after so long is stuck; reading does not begin at it for ever.
constexpr absl::Duration kStuckAfter = absl::Hours(24);
// A stop that is requested while another call reads is seen within this time.
constexpr absl::Duration kStopCheck = absl::Milliseconds(100);

std::string BoundText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", time, absl::UTCTimeZone());
}

absl::Time CreatedAt(const v1::Operation& operation) {
  return operation.has_created_at() ? GetTime(operation.created_at()) : absl::InfinitePast();
}

// What one page says about time.
struct PageSpan {
  absl::Time oldest = absl::InfiniteFuture();
  absl::Time newest = absl::InfinitePast();
  absl::Time oldest_running = absl::InfiniteFuture();  // of those that may still end
  bool newest_first = true;
};

PageSpan SpanOf(const std::vector<v1::Operation>& page, absl::Time now) {
  PageSpan span;
  for (const v1::Operation& operation : page) {
    const absl::Time created = CreatedAt(operation);
    if (created > span.oldest) span.newest_first = false;
    span.oldest = std::min(span.oldest, created);
    span.newest = std::max(span.newest, created);
    if (!IsFinal(operation.state()) && created > now - kStuckAfter)
      span.oldest_running = std::min(span.oldest_running, created);
  }
  return span;
}

}  // namespace

absl::Status OperationsListReader::AwaitTurn(const Key& key, const CallContext& context) {
  absl::MutexLock lock(&mutex_);
  const auto is_free = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return !reading_.contains(key); };
  while (!mutex_.AwaitWithDeadline(absl::Condition(&is_free),
                                   std::min(context.deadline, absl::Now() + kStopCheck))) {
    if (context.stop.stop_requested())
      return absl::CancelledError("cancelled while the list of operations was being read");
    if (absl::Now() >= context.deadline) {
      return absl::DeadlineExceededError(
          "the list of operations was still being read for another call at the deadline; its "
          "progress is kept: ask again");
    }
  }
  reading_.insert(key);
  return absl::OkStatus();
}

absl::Status OperationsListReader::Read(const ContreeApi& api, const CallContext& context,
                                        absl::Time older_until) {
  const StoreScope scope = {.tenant = context.tenant, .platform = api.platform()};
  const Key key(scope.tenant, scope.platform);
  RETURN_IF_ERROR(AwaitTurn(key, context));
  const absl::Cleanup done = [&] {
    absl::MutexLock lock(&mutex_);
    reading_.erase(key);
  };
  RETURN_IF_ERROR(ReadNew(api, scope, context));
  return ReadOlder(api, scope, context, older_until);
}

absl::Status OperationsListReader::ReadNew(const ContreeApi& api, const StoreScope& scope,
                                           const CallContext& context) {
  ASSIGN_OR_RETURN(std::optional<OperationsRead> read, store_->FindOperationsRead(scope));
  const bool first_time = !read.has_value();
  v1::ListOperationsRequest query;
  query.set_limit(page_size_);
  if (!first_time && read->until > absl::UnixEpoch())
    query.set_since(BoundText(read->until - kOverlap));
  absl::Time newest = absl::InfinitePast();
  absl::Time oldest_running = absl::InfiniteFuture();
  std::string first_id;
  while (true) {
    ASSIGN_OR_RETURN(const std::vector<v1::Operation> page, api.ListOperations(query, context));
    const PageSpan span = SpanOf(page, clock_->Now());
    newest = std::max(newest, span.newest);
    oldest_running = std::min(oldest_running, span.oldest_running);
    const bool repeats = query.offset() > 0 && !page.empty() && page.front().id() == first_id;
    const bool is_last = static_cast<int>(page.size()) < page_size_ || repeats;
    if (!first_time && !is_last) {
      RETURN_IF_ERROR(store_->AddListed(scope, page, std::nullopt));
      first_id = page.front().id();
      query.set_offset(query.offset() + static_cast<int>(page.size()));
      continue;
    }
    // The first time, one page is what is new; the rest is older.
    if (first_time) {
      read = {.from = page.empty() ? absl::UnixEpoch() : span.oldest,
              .until = absl::UnixEpoch(),
              .to_the_end = is_last};
      // Without an order or times nobody knows what the page leaves out: begin at the end of time.
      if (!is_last && (!span.newest_first || read->from == absl::InfinitePast()))
        read->from = clock_->Now();
      read->from = std::max(read->from, absl::UnixEpoch());
    }
    read->until = std::max(read->until, std::min(newest, oldest_running));
    return store_->AddListed(scope, page, read);
  }
}

absl::Status OperationsListReader::ReadOlder(const ContreeApi& api, const StoreScope& scope,
                                             const CallContext& context, absl::Time older_until) {
  ASSIGN_OR_RETURN(std::optional<OperationsRead> read, store_->FindOperationsRead(scope));
  if (!read.has_value() || read->to_the_end) return absl::OkStatus();
  // Below a fixed time the list stands still, so that pages neither overlap nor leave gaps.
  v1::ListOperationsRequest query;
  query.set_limit(page_size_);
  query.set_until(BoundText(read->from + kOverlap));
  std::string first_id;
  bool in_order = true;
  while (!read->to_the_end && clock_->Now() < older_until) {
    ASSIGN_OR_RETURN(const std::vector<v1::Operation> page, api.ListOperations(query, context));
    if (query.offset() > 0 && !page.empty() && page.front().id() == first_id) {
      LogWarning("the platform's list of operations does not go beyond its first page",
                 {{"tenant", scope.tenant}, {"platform", scope.platform}});
      return absl::OkStatus();
    }
    const PageSpan span = SpanOf(page, clock_->Now());
    in_order = in_order && span.newest_first;
    read->to_the_end = static_cast<int>(page.size()) < page_size_;
    // Only in a list that is newest first is a page's end a place to go on from.
    if (in_order && !page.empty()) read->from = std::max(span.oldest, absl::UnixEpoch());
    read->until = std::min(read->until, span.oldest_running);
    RETURN_IF_ERROR(store_->AddListed(scope, page, read));
    if (!page.empty()) first_id = page.front().id();
    query.set_offset(query.offset() + static_cast<int>(page.size()));
  }
  return absl::OkStatus();
}

}  // namespace contree
