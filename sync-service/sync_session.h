#ifndef SYNC_SERVICE_SYNC_SESSION_H_
#define SYNC_SERVICE_SYNC_SESSION_H_

// One sync: what the service does with each message of the walker, from `begin` to the result.
// Nothing is kept of a sync that does not come to its end, except which contents have arrived.
//
// Syncs share the stores and nothing else: none waits for another one.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/rpc/call_context.h"
#include "common/time/clock.h"
#include "common/time/timer_queue.h"
#include "contree/sync/v1/sync_service.pb.h"
#include "sync-service/content_intake.h"
#include "sync-service/platform_files.h"
#include "sync-service/store/state_store.h"
#include "sync-service/store/sync_cache.h"
#include "sync-service/sync_tree.h"

namespace contree {

// What syncs work with. Thread-safe.
struct SyncParts {
  SyncCache* cache = nullptr;
  StateStore* states = nullptr;
  const PlatformFiles* platform = nullptr;
  TimerQueue* timers = nullptr;
  Clock* clock = nullptr;
};

// All methods run one at a time, on any thread; they may wait for the stores and for
// contree-service, until the context's deadline or stop.
class SyncSession {
 public:
  using Send = std::function<void(sync::v1::SyncResponse)>;
  // Runs a function later, in turn with the methods; its error ends the sync.
  using Post = std::function<void(std::function<absl::Status()>)>;

  // The parts must outlive it.
  SyncSession(const SyncParts& parts, const CallContext& context, Send send, Post post);

  // The walker's next message. Errors as in the proto; after one, nothing but Abandon.
  absl::Status Take(sync::v1::SyncRequest& request);
  // Whether the walker is to be read on: there is room, and no result yet.
  bool CanTake() const;

  bool has_result() const { return phase_ == Phase::kDone; }
  void Abandon() { intake_.Abandon(); }
  // Nothing is under way; after Abandon, nothing is posted any more.
  bool IsIdle() const { return intake_.IsIdle(); }

 private:
  enum class Phase { kBegin, kDirectories, kListings, kFiles, kDone };

  absl::Status Begin(const sync::v1::SyncBegin& begin);
  absl::Status TakeDirectories(const sync::v1::SyncDirectories& message);
  absl::Status CompareDirectories();
  // Looks closely at a directory whose listing is as it was. False: what is known of it is of
  // another listing by now.
  absl::StatusOr<bool> Reconsider(uint32_t directory);
  absl::Status TakeListings(const sync::v1::SyncListings& message);
  absl::Status Compare(uint32_t directory, absl::string_view listing,
                       absl::Span<const KnownFiles> all_known);
  absl::Status AskForHashes();
  absl::Status TakeHashes(const sync::v1::SyncHashes& message);
  absl::Status TakeChanged(FileRef ref, const sync::v1::SyncChangedFile& changed);
  absl::Status TakeContents(sync::v1::SyncContents& message);

  absl::Status CheckSize(FileRef ref) const;
  // Finds out where the contents of these files are, and asks for those that the platform lacks.
  absl::Status Resolve(absl::Span<const FileRef> refs);
  void SetDone(FileRef ref);
  absl::Status FlushBlobs();
  void FlushAsked();
  absl::Status FinishIfComplete();
  absl::Status Finish();
  absl::StatusOr<DirectoryContent> ContentOf(size_t directory);
  // Files of the state before this one that are not in it.
  absl::StatusOr<int64_t> CountDeleted(absl::string_view id, const DirectoryState& state);
  void SendResult(absl::string_view id, const StateSummary& summary, int64_t deleted);

  const SyncParts parts_;
  const CallContext context_;
  const Send send_;
  const absl::Time started_;
  Phase phase_ = Phase::kBegin;
  sync::v1::SyncBegin begin_;
  SyncScope scope_;
  TreeSource source_;
  SyncTree tree_;
  std::vector<std::string> gone_;    // directories that are no more
  std::vector<bool> needs_listing_;  // by directory
  size_t needed_listings_ = 0;
  int64_t hashed_files_ = 0;          // the walker was asked for their hashes
  size_t pending_ = 0;                // files that are neither done nor gone
  std::vector<FileRef> asked_;        // contents, to be told in one message
  std::vector<KnownBlob> new_blobs_;  // to be stored together
  absl::flat_hash_map<FileRef, int> changes_;
  ContentIntake intake_;
};

}  // namespace contree

#endif  // SYNC_SERVICE_SYNC_SESSION_H_
