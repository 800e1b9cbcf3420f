#ifndef COMMON_REGISTRY_TOKEN_CACHE_H_
#define COMMON_REGISTRY_TOKEN_CACHE_H_

// Short-lived tokens, in memory only: one exchange at a time for each key, however many wait for
// it, and a new token before the old one ends.

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/registry/token_exchange.h"
#include "common/rpc/call_context.h"
#include "common/secret/secret_string.h"
#include "common/time/clock.h"

namespace contree {

struct TokenKey {
  std::string tenant;
  std::string registry;
  // Changes whenever the credentials do: a token never outlives them.
  std::string credential_version = "";
  std::vector<std::string> scopes = {};  // sorted, each once

  friend auto operator<=>(const TokenKey&, const TokenKey&) = default;
};

// Thread-safe.
class TokenCache {
 public:
  using Fetch = absl::FunctionRef<absl::StatusOr<RegistryToken>()>;

  // `clock` must outlive it.
  explicit TokenCache(Clock* clock);
  TokenCache(const TokenCache&) = delete;
  TokenCache& operator=(const TokenCache&) = delete;

  // A token with some life left; `fetch` is called where there is none, or where it ends soon and
  // nobody else renews it already. A failed renewal of a token that still lives is no error.
  // The error of `fetch`; Cancelled, DeadlineExceeded: `context` ended while another one fetched.
  absl::StatusOr<SecretString> Get(const TokenKey& key, const CallContext& context, Fetch fetch);

  // The token of the key that would be handed out without asking anybody; empty: none.
  SecretString Find(const TokenKey& key);

  // The registry does not take this token (any more).
  void Drop(const TokenKey& key, const SecretString& token);
  void DropAll(const std::string& tenant, const std::string& registry);

  // How many exchanges were made.
  int64_t fetches() const;

 private:
  struct Entry {
    RegistryToken token;  // empty value: none yet
    bool is_fetching = false;
    absl::Time last_used;
  };

  bool IsUsable(const Entry& entry) const;
  bool NeedsRenewal(const Entry& entry) const;
  void EvictLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Clock* const clock_;
  mutable absl::Mutex mutex_;
  absl::CondVar fetched_;
  std::map<TokenKey, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  int64_t fetches_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace contree

#endif  // COMMON_REGISTRY_TOKEN_CACHE_H_
