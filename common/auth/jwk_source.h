#ifndef COMMON_AUTH_JWK_SOURCE_H_
#define COMMON_AUTH_JWK_SOURCE_H_

// The keys that an issuer of tokens signs with at the moment: from a file, or from the issuer.

#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/auth/json_web_key.h"
#include "common/files/reloaded_file.h"
#include "common/time/clock.h"

namespace contree {

using JwkSet = std::vector<JsonWebKey>;

// Thread-safe; no call waits for a file or the network.
class JwkSource {
 public:
  virtual ~JwkSource() = default;
  // The keys known now, perhaps none. The same object until they change.
  virtual std::shared_ptr<const JwkSet> Keys() = 0;
  // A token names a key that is not among them: they may have been exchanged.
  virtual void AskForNewer() = 0;
};

// A JSON Web Key Set in a file, which is read again when it changes.
class JwkFile final : public JwkSource {
 public:
  // NotFound and others: it cannot be read. InvalidArgument: it is no key set.
  static absl::StatusOr<std::unique_ptr<JwkFile>> Open(const std::string& path);

  std::shared_ptr<const JwkSet> Keys() override;
  void AskForNewer() override {}  // it is looked at all the time

 private:
  JwkFile() = default;

  absl::Mutex mutex_;
  std::shared_ptr<const JwkSet> keys_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<ReloadedFile> file_;  // last: its thread sets the keys
};

struct JwkUrlOptions {
  std::string url;           // https, or http on loopback
  std::string ca_file = "";  // certificates to trust instead of the system's
  absl::Duration refresh_every = absl::Minutes(5);
  // How often, at most, AskForNewer fetches.
  absl::Duration ask_at_most_every = absl::Seconds(30);
};

// A JSON Web Key Set at a URL, fetched every few minutes on a thread of its own. While it cannot be
// fetched, the keys of before hold.
class JwkUrl final : public JwkSource {
 public:
  // Fetches it once before it returns, unless that takes longer than 10 s or fails, which is
  // logged. `clock` (for ask_at_most_every) must outlive it. InvalidArgument: no https URL, nor
  // http on loopback.
  static absl::StatusOr<std::unique_ptr<JwkUrl>> Open(const JwkUrlOptions& options, Clock* clock);
  ~JwkUrl() override;

  std::shared_ptr<const JwkSet> Keys() override;
  void AskForNewer() override;

 private:
  class Fetcher;

  JwkUrl(const JwkUrlOptions& options, Clock* clock, std::unique_ptr<Fetcher> fetcher);
  void Fetch(const std::stop_token& stop);
  void Run(const std::stop_token& stop);

  const JwkUrlOptions options_;
  Clock* const clock_;
  const std::unique_ptr<Fetcher> fetcher_;
  absl::Mutex mutex_;
  std::shared_ptr<const JwkSet> keys_ ABSL_GUARDED_BY(mutex_) = std::make_shared<const JwkSet>();
  std::string content_ ABSL_GUARDED_BY(mutex_);
  bool asked_ ABSL_GUARDED_BY(mutex_) = false;
  bool failed_ ABSL_GUARDED_BY(mutex_) = false;  // the last fetch
  absl::Time asked_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  std::jthread thread_;  // last: it uses the others
};

}  // namespace contree

#endif  // COMMON_AUTH_JWK_SOURCE_H_
