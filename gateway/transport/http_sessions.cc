#include "gateway/transport/http_sessions.h"

#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "common/status/status_macros.h"

namespace contree::gateway {
namespace {

constexpr absl::Duration kSweepEvery = absl::Seconds(30);
constexpr absl::Duration kKeptFor = absl::Minutes(2);

}  // namespace

Negotiated HttpSessions::Found::NegotiatedOr(const std::optional<std::string>& version) const {
  if (token.has_value()) return token->negotiated;
  Negotiated negotiated;
  negotiated.version = version.value_or(std::string(kUnnamedVersion));
  return negotiated;
}

HttpSessions::Found HttpSessions::OfOneRequest(const std::string& tenant) const {
  return {
      .session = std::make_shared<Session>(
          server_, nullptr, SessionOptions{.transport = TransportKind::kHttp, .is_whole = false}),
      .tenant = tenant};
}

absl::StatusOr<HttpSessions::Found> HttpSessions::Find(const std::string& id,
                                                       const std::string& tenant) {
  const absl::Time now = absl::Now();
  ASSIGN_OR_RETURN(SessionToken token, OpenSessionToken(id, server_.sealer(), tenant, now));
  std::vector<std::shared_ptr<Session>> swept;
  absl::MutexLock lock(&mutex_);
  if (now - swept_at_ > kSweepEvery) swept = Sweep(now);
  Entry& entry = entries_[token.id];
  std::shared_ptr<Session> session = entry.session.lock();
  if (session == nullptr) {
    session = std::make_shared<Session>(
        server_, nullptr,
        SessionOptions{.transport = TransportKind::kHttp, .is_whole = are_whole()});
    entry.session = session;
  }
  return Found{.session = std::move(session), .tenant = tenant, .token = std::move(token)};
}

absl::StatusOr<std::string> HttpSessions::Issue(const Found& found,
                                                const Negotiated& negotiated) const {
  SessionToken token = NewSessionToken(negotiated);
  if (found.token.has_value()) token.id = found.token->id;
  return SealSessionToken(token, server_.sealer(), found.tenant, absl::Now());
}

void HttpSessions::Keep(const Found& found) {
  if (!found.token.has_value()) return;
  std::shared_ptr<Session> before;  // goes outside the lock
  absl::MutexLock lock(&mutex_);
  Entry& entry = entries_[found.token->id];
  before = std::exchange(entry.kept, found.session);
  entry.session = found.session;
  entry.kept_until = absl::Now() + kKeptFor;
}

std::vector<std::shared_ptr<Session>> HttpSessions::Sweep(absl::Time now) {
  swept_at_ = now;
  std::vector<std::shared_ptr<Session>> swept;
  for (auto it = entries_.begin(); it != entries_.end();) {
    Entry& entry = it->second;
    if (now >= entry.kept_until && entry.kept != nullptr) swept.push_back(std::move(entry.kept));
    const auto here = it++;
    if (here->second.kept == nullptr && here->second.session.expired()) entries_.erase(here);
  }
  return swept;
}

}  // namespace contree::gateway
