#ifndef GATEWAY_TESTING_FAKE_SYNC_SERVICE_H_
#define GATEWAY_TESTING_FAKE_SYNC_SERVICE_H_

// A sync-service in memory for tests of what calls it. It holds callers to the contract: a message
// out of order, a digest that is not that of its listing, a content that is not that of its hash
// fail the test. Thread-safe.

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "contree/sync/v1/sync_service.grpc.pb.h"
#include "gateway/sync/tree.h"

namespace contree::gateway {

struct FakeStateFile {
  std::string content;
  uint32_t mode = 0;
  bool operator==(const FakeStateFile&) const = default;
};
// By path relative to the source.
using FakeState = std::map<std::string, FakeStateFile>;

// What happened in a sync.
struct FakeSync {
  sync::v1::SyncBegin begin;
  bool was_known = false;  // answered by the tree's digest
  int directories = 0;
  int listings = 0;
  int hashed = 0;
  int contents = 0;
  int void_contents = 0;
  int largest_message_bytes = 0;
};

class FakeSyncService final : public sync::v1::SyncService::Service {
 public:
  FakeState state(const std::string& directory_state_id);
  std::vector<FakeSync> syncs();

  // A state that GetDirectoryState knows, besides those that syncs make. It may know it under other
  // ids of the platform (`renewed`) once it is to verify it, or that files of it are missing.
  void AddState(const std::string& id, const std::vector<sync::v1::StateFile>& files,
                const std::vector<sync::v1::StateFile>& renewed = {});
  void LoseFilesOf(const std::string& id);

  // Called once, before files are asked for: to hash, or to send.
  void BeforeNextHash(std::function<void()> callback);
  void BeforeNextContent(std::function<void()> callback);
  // The next Sync ends with this once it has its first listings.
  void FailNextSync(const grpc::Status& status);

  grpc::Status Sync(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<sync::v1::SyncResponse, sync::v1::SyncRequest>* stream) override;
  // One file to a message.
  grpc::Status GetDirectoryState(
      grpc::ServerContext* context, const sync::v1::GetDirectoryStateRequest* request,
      grpc::ServerWriter<sync::v1::GetDirectoryStateResponse>* writer) override;

 private:
  friend class FakeSyncCall;

  struct Known {
    FileRow row;
    std::string sha256;
  };
  struct GivenState {
    std::vector<sync::v1::StateFile> files;
    std::vector<sync::v1::StateFile> renewed;
    bool lacks_files = false;
    bool is_verified = false;
  };
  struct KnownTree {
    std::string state_id;
    int64_t files;
    bool has_young;
  };

  absl::Mutex mutex_;
  std::vector<FakeSync> syncs_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, FakeState> states_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, GivenState> given_states_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> blobs_ ABSL_GUARDED_BY(mutex_);  // by SHA-256
  std::map<std::string, sync::v1::DirectoryListing> listings_ ABSL_GUARDED_BY(mutex_);  // by digest
  std::map<std::string, Known> known_ ABSL_GUARDED_BY(mutex_);      // by source and path
  std::map<std::string, KnownTree> trees_ ABSL_GUARDED_BY(mutex_);  // by target and digest
  std::function<void()> before_hash_ ABSL_GUARDED_BY(mutex_);
  std::function<void()> before_content_ ABSL_GUARDED_BY(mutex_);
  grpc::Status failure_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace contree::gateway

#endif  // GATEWAY_TESTING_FAKE_SYNC_SERVICE_H_
