#ifndef SYNC_SERVICE_CONTENT_INTAKE_H_
#define SYNC_SERVICE_CONTENT_INTAKE_H_

// The contents of one sync that the platform lacks, on their way from the walker to the platform:
// asked for, arriving in pieces, uploaded. Many small ones go up at the same time, a large one is
// streamed; what is held of them is bounded as long as the walker is read only while HasRoom.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/node_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/retry/backoff.h"
#include "common/rpc/call_context.h"
#include "common/time/timer_queue.h"
#include "contree/sync/v1/sync_service.pb.h"
#include "sync-service/platform_files.h"

namespace contree {

// A file of a sync, by the walker's numbers.
struct FileRef {
  uint32_t directory = 0;
  uint32_t file = 0;
  friend bool operator==(const FileRef&, const FileRef&) = default;
  template <typename H>
  friend H AbslHashValue(H hash, const FileRef& ref) {
    return H::combine(std::move(hash), ref.directory, ref.file);
  }
};

// All methods and hooks run one at a time, on any thread.
class ContentIntake {
 public:
  struct Hooks {
    // Runs a function later, never at once, in turn with everything else; its error ends the sync.
    std::function<void(std::function<absl::Status()>)> post;
    // Asks the walker for a content.
    std::function<void(FileRef)> ask;
    // The platform has it now: the content of these files.
    std::function<absl::Status(KnownBlob, const std::vector<FileRef>& files)> stored;
    // The file is otherwise by now, and will be hashed again.
    std::function<absl::Status(FileRef)> changed;
    // For messages.
    std::function<std::string(FileRef)> path_of;
  };

  // `platform` and `timers` must outlive it.
  ContentIntake(const PlatformFiles* platform, TimerQueue* timers, const CallContext& context,
                Hooks hooks);
  ~ContentIntake();
  ContentIntake(const ContentIntake&) = delete;
  ContentIntake& operator=(const ContentIntake&) = delete;

  // The platform lacks the content of `file`, of this SHA-256 (32 bytes): asks for it, unless a
  // file with the same content was asked for already.
  void Want(const std::string& sha256, FileRef file, int64_t size);
  // Whether a file with this content is on its way.
  bool IsWanted(const std::string& sha256) const { return wanted_.contains(sha256); }

  // The next piece of a content. InvalidArgument: it was not asked for, or pieces are mixed.
  // Aborted: it has not the size that it was listed with.
  absl::Status Take(sync::v1::SyncContent& piece);
  // Sends what has been taken on its way, as much as may go at once.
  absl::Status BeginUploads();

  // Whether the walker should be read on.
  bool HasRoom() const;

  // Gives everything up; nothing is asked or told any more.
  void Abandon();
  // No upload is under way (after Abandon: none calls a hook any more).
  bool IsIdle() const { return uploads_.empty(); }

  int64_t uploaded_files() const { return uploaded_files_; }
  int64_t uploaded_bytes() const { return uploaded_bytes_; }

 private:
  struct Wanted {
    std::vector<FileRef> files;
    FileRef asked;  // the one whose content is to come
    int64_t size = 0;
    int failures = 0;
    std::optional<TimerQueue::Id> asks_again;  // after a failure
    Backoff backoff{{.first = absl::Milliseconds(200), .largest = absl::Seconds(5)}};
  };
  struct Upload {
    std::string sha256;
    int64_t size = 0;
    std::shared_ptr<ContentUpload> stream;  // null: it has not begun, or goes with others
    std::vector<std::string> pieces;        // of one that has not begun
    bool is_complete = false;
    bool is_void = false;  // whatever becomes of it
  };
  struct Arriving {
    FileRef file;
    std::string sha256;
    uint64_t upload = 0;  // its number; that upload may have ended early
    int64_t size = 0;
    int64_t received = 0;
  };

  absl::Status Begin(FileRef file);
  absl::Status DropChanged(FileRef file);
  void AskFor(Wanted& wanted, const std::string& sha256, FileRef file);
  void StopTimer(Wanted& wanted);
  absl::Status BeginStream();
  absl::Status BeginBatch();
  absl::Status OnBatchEnd(uint64_t batch, const std::vector<uint64_t>& numbers,
                          absl::StatusOr<std::vector<absl::StatusOr<std::string>>> uuids);
  absl::Status OnEnd(uint64_t number, absl::StatusOr<std::string> uuid);
  absl::Status OnFailure(const Upload& upload, const absl::Status& failure);

  const PlatformFiles* const platform_;
  TimerQueue* const timers_;
  const CallContext context_;
  const Hooks hooks_;
  absl::node_hash_map<std::string, Wanted> wanted_;  // by SHA-256
  absl::flat_hash_map<FileRef, std::string> asked_;  // whose content is to come: its SHA-256
  std::optional<Arriving> arriving_;                 // of which some pieces have come
  absl::node_hash_map<uint64_t, Upload> uploads_;    // by number
  std::deque<uint64_t> waiting_;                     // of those, what has not begun
  size_t waiting_bytes_ = 0;                         // in them
  size_t streams_ = 0;                               // of uploads_, those that go alone
  struct Batch {
    std::shared_ptr<ContentBatch> call;
    size_t bytes = 0;
  };
  absl::node_hash_map<uint64_t, Batch> batches_;  // by number
  uint64_t next_number_ = 1;
  bool is_abandoned_ = false;
  int64_t uploaded_files_ = 0;
  int64_t uploaded_bytes_ = 0;
};

}  // namespace contree

#endif  // SYNC_SERVICE_CONTENT_INTAKE_H_
