#ifndef GATEWAY_TESTING_FAKE_CONTREE_SERVICE_H_
#define GATEWAY_TESTING_FAKE_CONTREE_SERVICE_H_

// A contree-service in memory for tests of what calls it. Images, files and operations are what the
// test puts there; nothing runs. Thread-safe.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "contree/v1/contree_service.grpc.pb.h"

namespace contree::gateway {

struct FakeUpload {
  std::optional<int64_t> size;  // as announced
  std::string data;
  int pieces = 0;
};

// What the service was asked, as it arrived.
struct FakeCalls {
  std::vector<contree::v1::ListImagesRequest> list_images;
  std::vector<contree::v1::SetTagRequest> set_tag;
  std::vector<contree::v1::RunInstanceRequest> run;
  std::vector<absl::Time> run_deadlines;
  std::vector<contree::v1::ImportImageRequest> imports;
  std::vector<contree::v1::ListOperationsRequest> list_operations;
  std::vector<contree::v1::WatchOperationRequest> watch;
  std::vector<contree::v1::WatchOperationsRequest> watch_many;
  std::vector<std::string> cancelled;
  std::vector<contree::v1::GrepRequest> grep;
  std::vector<FakeUpload> uploads;  // whole ones
  // The metadata "authorization" of calls that list images or watch an operation, "" where there
  // is none.
  std::vector<std::string> authorizations;
};

class FakeContreeService final : public contree::v1::ContreeService::Service {
 public:
  // Requests that name an image find it by its uuid, or by "tag:" and its tag.
  void AddImage(const contree::v1::Image& image);
  void AddFile(const std::string& path, const std::string& content);
  void AddEntry(const contree::v1::FileEntry& entry);

  void SetGrepAnswer(const contree::v1::GrepResponse& answer);
  void SetIdentity(const contree::v1::GetIdentityResponse& identity);
  // The answer for lineage.image().
  void AddLineage(const contree::v1::ImageLineage& lineage);
  // The newest is added first.
  void AddOrigin(const contree::v1::ImageOrigin& origin);

  // The next ReadFile or UploadFile ends with this error once so many pieces have passed.
  void BreakNextTransfer(int after_pieces, const grpc::Status& status);

  // The platform has no file of this id any more: a run that wants it is refused.
  void LoseFile(const std::string& uuid);

  // Operations that RunInstance starts ("op-1", "op-2", …) end at once with exit code 0 and the
  // command as their output, unless they are held.
  void HoldOperations();
  // An operation that executes.
  void AddOperation(const std::string& id);
  // Puts an event behind the others of an operation and gives it the next id, from 1.
  void Emit(const std::string& id, contree::v1::OperationEvent event);
  // Ends an operation with a record whose id is set here.
  void Complete(const std::string& id, contree::v1::Operation record);

  // The next WatchOperation ends with this error once it has sent so many events.
  void BreakNextWatch(int after_events, const grpc::Status& status);
  // The next WatchOperations ends with this error at once.
  void BreakNextWatchOfMany(const grpc::Status& status);
  // Every unary call fails so; OK: none does.
  void FailCalls(const grpc::Status& status);

  // The next GetImage does not answer until its caller cancels it.
  void HangNextGetImage();
  void WaitForHangingCall();

  // Blocks until so many streams have watched operations, now or before.
  void WaitForWatches(int count);
  // Blocks until so many operations were cancelled.
  void WaitForCancellations(int count);
  FakeCalls calls();

  grpc::Status ListImages(grpc::ServerContext* context,
                          const contree::v1::ListImagesRequest* request,
                          contree::v1::ListImagesResponse* response) override;
  grpc::Status GetImage(grpc::ServerContext* context, const contree::v1::GetImageRequest* request,
                        contree::v1::GetImageResponse* response) override;
  grpc::Status SetTag(grpc::ServerContext* context, const contree::v1::SetTagRequest* request,
                      contree::v1::SetTagResponse* response) override;
  grpc::Status GetImageLineage(grpc::ServerContext* context,
                               const contree::v1::GetImageLineageRequest* request,
                               contree::v1::GetImageLineageResponse* response) override;
  grpc::Status ListImageOrigins(
      grpc::ServerContext* context, const contree::v1::ListImageOriginsRequest* request,
      grpc::ServerWriter<contree::v1::ListImageOriginsResponse>* writer) override;
  grpc::Status RunInstance(grpc::ServerContext* context,
                           const contree::v1::RunInstanceRequest* request,
                           contree::v1::RunInstanceResponse* response) override;
  // As RunInstance; the ids are "import-1", "import-2", …; each makes an image of its own.
  grpc::Status ImportImage(grpc::ServerContext* context,
                           const contree::v1::ImportImageRequest* request,
                           contree::v1::ImportImageResponse* response) override;
  grpc::Status GetOperation(grpc::ServerContext* context,
                            const contree::v1::GetOperationRequest* request,
                            contree::v1::GetOperationResponse* response) override;
  grpc::Status ListOperations(grpc::ServerContext* context,
                              const contree::v1::ListOperationsRequest* request,
                              contree::v1::ListOperationsResponse* response) override;
  grpc::Status WatchOperation(
      grpc::ServerContext* context, const contree::v1::WatchOperationRequest* request,
      grpc::ServerWriter<contree::v1::WatchOperationResponse>* writer) override;
  grpc::Status WatchOperations(
      grpc::ServerContext* context, const contree::v1::WatchOperationsRequest* request,
      grpc::ServerWriter<contree::v1::WatchOperationsResponse>* writer) override;
  grpc::Status CancelOperation(grpc::ServerContext* context,
                               const contree::v1::CancelOperationRequest* request,
                               contree::v1::CancelOperationResponse* response) override;
  grpc::Status ListFiles(grpc::ServerContext* context, const contree::v1::ListFilesRequest* request,
                         grpc::ServerWriter<contree::v1::ListFilesResponse>* writer) override;
  grpc::Status ReadFile(grpc::ServerContext* context, const contree::v1::ReadFileRequest* request,
                        grpc::ServerWriter<contree::v1::ReadFileResponse>* writer) override;
  grpc::Status Grep(grpc::ServerContext* context, const contree::v1::GrepRequest* request,
                    contree::v1::GrepResponse* response) override;
  // The file's uuid is "file-1", "file-2", …; its sha256 is not computed.
  grpc::Status UploadFile(grpc::ServerContext* context,
                          grpc::ServerReader<contree::v1::UploadFileRequest>* reader,
                          contree::v1::UploadFileResponse* response) override;
  grpc::Status GetIdentity(grpc::ServerContext* context,
                           const contree::v1::GetIdentityRequest* request,
                           contree::v1::GetIdentityResponse* response) override;

 private:
  struct FakeOperation {
    contree::v1::Operation record;
    std::vector<contree::v1::OperationEvent> events;  // the last is `completed` once it has ended
    bool ended = false;
  };

  const contree::v1::Image* FindImage(absl::string_view reference) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Nullopt: this one does not break.
  struct Break {
    int after_pieces;
    grpc::Status status;
  };
  std::optional<Break> TakeTransferBreak();
  void CompleteLocked(const std::string& id, contree::v1::Operation record)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Mutex mutex_;
  FakeCalls calls_ ABSL_GUARDED_BY(mutex_);
  std::vector<contree::v1::Image> images_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> files_ ABSL_GUARDED_BY(mutex_);
  std::vector<contree::v1::FileEntry> entries_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, FakeOperation> operations_ ABSL_GUARDED_BY(mutex_);
  bool hold_ ABSL_GUARDED_BY(mutex_) = false;
  bool hang_next_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_hanging_ ABSL_GUARDED_BY(mutex_) = false;
  int watches_ ABSL_GUARDED_BY(mutex_) = 0;
  int break_after_ ABSL_GUARDED_BY(mutex_) = -1;
  grpc::Status break_status_ ABSL_GUARDED_BY(mutex_);
  grpc::Status break_many_status_ ABSL_GUARDED_BY(mutex_);
  grpc::Status failure_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> lost_files_ ABSL_GUARDED_BY(mutex_);
  std::optional<Break> transfer_break_ ABSL_GUARDED_BY(mutex_);
  contree::v1::GrepResponse grep_answer_ ABSL_GUARDED_BY(mutex_);
  contree::v1::GetIdentityResponse identity_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, contree::v1::ImageLineage> lineages_ ABSL_GUARDED_BY(mutex_);
  contree::v1::ListImageOriginsResponse origins_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace contree::gateway

#endif  // GATEWAY_TESTING_FAKE_CONTREE_SERVICE_H_
