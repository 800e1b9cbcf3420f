#include "common/registry/token_cache.h"

#include <algorithm>
#include <stop_token>
#include <utility>

#include "absl/time/clock.h"
#include "common/telemetry/metrics.h"

namespace contree {
namespace {

constexpr size_t kMaxEntries = 4096;
// A token this close to its end could end on its way.
constexpr absl::Duration kSafety = absl::Seconds(5);

void CountLook(bool is_hit, double by = 1) {
  static auto& looks = *new CounterMetric(
      "contree_registry_token_looks_total",
      "Tokens of registries that were needed, by whether one was at hand.", {"result"});
  looks.Add({is_hit ? "hit" : "miss"}, by);
}

}  // namespace

TokenCache::TokenCache(Clock* clock) : clock_(clock) {
  for (const bool is_hit : {true, false}) CountLook(is_hit, 0);
}

bool TokenCache::IsUsable(const Entry& entry) const {
  if (entry.token.value.empty()) return false;
  const absl::Duration life = entry.token.expires_at - entry.token.issued_at;
  return clock_->Now() + std::min(kSafety, life / 10) < entry.token.expires_at;
}

bool TokenCache::NeedsRenewal(const Entry& entry) const {
  const absl::Duration life = entry.token.expires_at - entry.token.issued_at;
  return clock_->Now() + life / 5 >= entry.token.expires_at;
}

absl::StatusOr<SecretString> TokenCache::Get(const TokenKey& key, const CallContext& context,
                                             Fetch fetch) {
  const std::stop_callback on_stop(context.stop, [this] {
    absl::MutexLock lock(&mutex_);
    fetched_.SignalAll();
  });
  absl::MutexLock lock(&mutex_);
  while (true) {
    Entry& entry = entries_[key];
    entry.last_used = clock_->Now();
    const bool usable = IsUsable(entry);
    if (usable && (entry.is_fetching || !NeedsRenewal(entry))) {
      CountLook(true);
      return entry.token.value;
    }
    if (!entry.is_fetching) break;
    if (context.stop.stop_requested()) {
      return absl::CancelledError("cancelled while waiting for a token of the registry");
    }
    if (fetched_.WaitWithDeadline(&mutex_, context.deadline) && absl::Now() >= context.deadline) {
      return absl::DeadlineExceededError(
          "the deadline passed while another call was fetching a token of the registry");
    }
  }
  CountLook(false);
  entries_[key].is_fetching = true;
  ++fetches_;
  mutex_.Unlock();
  absl::StatusOr<RegistryToken> token = fetch();
  mutex_.Lock();
  fetched_.SignalAll();  // those who wait take the token, or fetch it themselves
  // It may have been dropped meanwhile, with the credentials that it came of.
  const auto found = entries_.find(key);
  if (found == entries_.end()) {
    if (!token.ok()) return token.status();
    return std::move(token->value);
  }
  Entry& entry = found->second;
  entry.is_fetching = false;
  if (!token.ok()) {
    if (IsUsable(entry)) return entry.token.value;
    entries_.erase(found);
    return token.status();
  }
  entry.token = *std::move(token);
  SecretString value = entry.token.value;
  EvictLocked();
  return value;
}

SecretString TokenCache::Find(const TokenKey& key) {
  absl::MutexLock lock(&mutex_);
  const auto found = entries_.find(key);
  if (found == entries_.end() || !IsUsable(found->second) || NeedsRenewal(found->second)) return {};
  found->second.last_used = clock_->Now();
  return found->second.token.value;
}

void TokenCache::Drop(const TokenKey& key, const SecretString& token) {
  absl::MutexLock lock(&mutex_);
  const auto found = entries_.find(key);
  if (found == entries_.end() || !(found->second.token.value == token)) return;
  if (found->second.is_fetching) {
    found->second.token.value = {};
  } else {
    entries_.erase(found);
  }
}

void TokenCache::DropAll(const std::string& tenant, const std::string& registry) {
  absl::MutexLock lock(&mutex_);
  for (auto it = entries_.begin(); it != entries_.end();) {
    const bool matches = it->first.tenant == tenant && it->first.registry == registry;
    it = matches ? entries_.erase(it) : std::next(it);
  }
  fetched_.SignalAll();
}

int64_t TokenCache::fetches() const {
  absl::MutexLock lock(&mutex_);
  return fetches_;
}

void TokenCache::EvictLocked() {
  while (entries_.size() > kMaxEntries) {
    auto oldest = entries_.end();
    for (auto it = entries_.begin(); it != entries_.end(); ++it) {
      if (it->second.is_fetching) continue;
      if (oldest == entries_.end() || it->second.last_used < oldest->second.last_used) oldest = it;
    }
    if (oldest == entries_.end()) return;
    entries_.erase(oldest);
  }
}

}  // namespace contree
