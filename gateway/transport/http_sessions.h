#ifndef GATEWAY_TRANSPORT_HTTP_SESSIONS_H_
#define GATEWAY_TRANSPORT_HTTP_SESSIONS_H_

// The sessions of the earlier era over HTTP. What was agreed on is in the session's id (see
// session_token.h), so any process with the key serves any of them. Besides, this process knows
// which of a session's requests run in it, so that they can be cancelled; and, if nobody else has
// the key, so that every request of the session comes here, what one of them began and others go on
// with: questions to the client and subscriptions.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/rpc/call_context.h"
#include "gateway/mcp/mcp_server.h"
#include "gateway/mcp/session.h"
#include "gateway/mcp/session_token.h"

namespace contree::gateway {

// Thread-safe.
class HttpSessions {
 public:
  // `server` must outlive it.
  explicit HttpSessions(const McpServer& server) : server_(server) {}

  struct Found {
    std::shared_ptr<Session> session;
    std::string tenant = kLocalTenant;
    std::optional<SessionToken> token = std::nullopt;  // none: a session of this one request

    // What holds for a request of it. `version` is what its header says.
    Negotiated NegotiatedOr(const std::optional<std::string>& version) const;
  };

  // Whether what a client begins with one request it can go on with in another.
  bool are_whole() const { return !server_.sealer().is_shared(); }

  Found OfOneRequest(const std::string& tenant) const;
  // NotFound: the id is none of this tenant's, or has expired.
  absl::StatusOr<Found> Find(const std::string& id, const std::string& tenant);
  // The id of a session in which this is agreed on from now on; of a new one where `found` has
  // none.
  absl::StatusOr<std::string> Issue(const Found& found, const Negotiated& negotiated) const;

  // Remembers a session that nobody uses at the moment for two minutes more: its client is about to
  // come back.
  void Keep(const Found& found);

 private:
  struct Entry {
    std::weak_ptr<Session> session;
    std::shared_ptr<Session> kept = nullptr;
    absl::Time kept_until = absl::InfinitePast();
  };
  // What it returns goes outside the lock.
  std::vector<std::shared_ptr<Session>> Sweep(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const McpServer& server_;
  absl::Mutex mutex_;
  absl::Time swept_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  absl::flat_hash_map<std::string, Entry> entries_ ABSL_GUARDED_BY(mutex_);  // by the token's id
};

}  // namespace contree::gateway

#endif  // GATEWAY_TRANSPORT_HTTP_SESSIONS_H_
