#include "sync-service/platform_files.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/escaping.h"
#include "absl/synchronization/mutex.h"
#include "common/rpc/grpc_context.h"
#include "common/status/grpc_status.h"
#include "common/status/status_macros.h"
#include "common/text/hex.h"

namespace contree {
namespace {

constexpr size_t kHashesPerCall = 1000;

// Holds itself until gRPC is done with it.
class StreamedUpload final : public ContentUpload,
                             public grpc::ClientWriteReactor<v1::UploadFileRequest>,
                             public std::enable_shared_from_this<StreamedUpload> {
 public:
  StreamedUpload(const CallContext& context, PlatformFiles::UploadEvents events)
      : call_(context), events_(std::move(events)) {}

  void Start(v1::ContreeService::Stub& stub, absl::string_view sha256, int64_t size) {
    self_ = shared_from_this();
    message_.mutable_header()->set_size(size);
    message_.mutable_header()->set_sha256(absl::BytesToHexString(sha256));
    stub.async()->UploadFile(call_.client_context(), &response_, this);
    AddHold();  // for writes that begin outside of gRPC's callbacks
    StartWrite(&message_);
    StartCall();
  }

  void Push(std::string bytes, bool is_last) override {
    {
      absl::MutexLock lock(&mutex_);
      waiting_bytes_ += bytes.size();
      if (!bytes.empty()) pieces_.push_back(std::move(bytes));
      is_complete_ = is_complete_ || is_last;
    }
    WriteNext(/*write_ended=*/false);
  }

  void Cancel() override {
    call_.client_context()->TryCancel();
    LetGo();
  }

  size_t waiting_bytes() const override {
    absl::MutexLock lock(&mutex_);
    return waiting_bytes_;
  }

  void OnWriteDone(bool ok) override {
    if (ok) {
      WriteNext(/*write_ended=*/true);
    } else {
      LetGo();  // the call has ended; OnDone says how
    }
  }

  void OnDone(const grpc::Status& status) override {
    const std::shared_ptr<StreamedUpload> last = std::move(self_);
    const PlatformFiles::UploadEvents events = std::move(events_);
    if (status.ok()) {
      events.ended(std::move(*response_.mutable_file()->mutable_uuid()));
    } else {
      events.ended(FromGrpcStatus(status));
    }
  }

 private:
  // Nothing more is written.
  void LetGo() {
    bool ends_hold = false;
    {
      absl::MutexLock lock(&mutex_);
      ends_hold = !std::exchange(hold_ended_, true);
    }
    if (ends_hold) RemoveHold();
  }

  // Writes what comes next unless a write is under way, and lets go of the call behind the last.
  void WriteNext(bool write_ended) {
    enum class Step { kNothing, kWrite, kWriteLast, kEnd } step = Step::kNothing;
    bool has_moved = false;
    {
      absl::MutexLock lock(&mutex_);
      if (write_ended) {
        is_writing_ = false;
        has_moved = message_.has_data();
        waiting_bytes_ -= message_.data().size();
      }
      if (is_writing_ || hold_ended_) return;
      if (!pieces_.empty()) {
        message_.set_data(std::move(pieces_.front()));
        pieces_.pop_front();
        is_writing_ = true;
        step = is_complete_ && pieces_.empty() ? Step::kWriteLast : Step::kWrite;
        is_ended_ = step == Step::kWriteLast;
      } else if (is_complete_ && !is_ended_) {
        is_ended_ = true;
        step = Step::kEnd;
      }
      hold_ended_ = is_ended_;
    }
    switch (step) {
      case Step::kNothing:
        break;
      case Step::kWrite:
        StartWrite(&message_);
        break;
      case Step::kWriteLast:
        StartWriteLast(&message_, grpc::WriteOptions());
        RemoveHold();
        break;
      case Step::kEnd:
        StartWritesDone();
        RemoveHold();
        break;
    }
    if (has_moved) events_.moved();
  }

  OutgoingCall call_;
  v1::UploadFileResponse response_;
  PlatformFiles::UploadEvents events_;
  std::shared_ptr<StreamedUpload> self_;
  v1::UploadFileRequest message_;  // gRPC's while is_writing_
  mutable absl::Mutex mutex_;
  std::deque<std::string> pieces_ ABSL_GUARDED_BY(mutex_);
  size_t waiting_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool is_complete_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_writing_ ABSL_GUARDED_BY(mutex_) = true;  // the header
  bool is_ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool hold_ended_ ABSL_GUARDED_BY(mutex_) = false;
};

// Lives until gRPC is done with it.
class SentBatch final : public ContentBatch, public std::enable_shared_from_this<SentBatch> {
 public:
  SentBatch(const CallContext& context, PlatformFiles::BatchEnd ended)
      : call_(context), ended_(std::move(ended)) {}

  void Start(v1::ContreeService::Stub& stub, std::vector<SmallContent> contents) {
    for (SmallContent& content : contents) {
      v1::UploadFilesRequest::Content& sent = *request_.add_contents();
      sent.set_sha256(absl::BytesToHexString(content.sha256));
      sent.set_data(std::move(content.data));
    }
    stub.async()->UploadFiles(
        call_.client_context(), &request_, &response_,
        [self = shared_from_this()](grpc::Status status) { self->OnDone(std::move(status)); });
  }

  void Cancel() override { call_.client_context()->TryCancel(); }

 private:
  void OnDone(grpc::Status status) {
    const PlatformFiles::BatchEnd ended = std::move(ended_);
    if (!status.ok()) return ended(FromGrpcStatus(status));
    if (response_.outcomes_size() != request_.contents_size())
      return ended(absl::InternalError("contree-service did not answer for every file"));
    std::vector<absl::StatusOr<std::string>> uuids;
    uuids.reserve(static_cast<size_t>(response_.outcomes_size()));
    for (v1::UploadFilesResponse::Outcome& outcome : *response_.mutable_outcomes()) {
      if (outcome.has_file()) {
        uuids.emplace_back(std::move(*outcome.mutable_file()->mutable_uuid()));
      } else {
        uuids.emplace_back(FromGrpcStatus(
            grpc::Status(static_cast<grpc::StatusCode>(outcome.code()), outcome.message())));
      }
    }
    ended(std::move(uuids));
  }

  OutgoingCall call_;
  PlatformFiles::BatchEnd ended_;
  v1::UploadFilesRequest request_;
  v1::UploadFilesResponse response_;
};

}  // namespace

void PlatformFiles::ConnectTo(const std::shared_ptr<grpc::Channel>& contree_service) {
  absl::MutexLock lock(&mutex_);
  stub_ = v1::ContreeService::NewStub(contree_service);
}

absl::StatusOr<std::shared_ptr<v1::ContreeService::Stub>> PlatformFiles::stub() const {
  absl::MutexLock lock(&mutex_);
  if (stub_ == nullptr) return absl::UnavailableError("sync-service is still starting");
  return stub_;
}

absl::StatusOr<std::string> PlatformFiles::FindPlatform(const CallContext& context) const {
  ASSIGN_OR_RETURN(const auto stub, this->stub());
  OutgoingCall call(context);
  v1::FindFilesResponse response;
  const grpc::Status status = stub->FindFiles(call.client_context(), {}, &response);
  if (!status.ok()) return FromGrpcStatus(status);
  return std::move(*response.mutable_platform());
}

absl::StatusOr<std::vector<KnownBlob>> PlatformFiles::Find(absl::Span<const std::string> sha256s,
                                                           const CallContext& context) const {
  ASSIGN_OR_RETURN(const auto stub, this->stub());
  std::vector<KnownBlob> found;
  while (!sha256s.empty()) {
    v1::FindFilesRequest request;
    for (const std::string& sha256 : sha256s.subspan(0, kHashesPerCall))
      request.add_sha256(absl::BytesToHexString(sha256));
    sha256s.remove_prefix(std::min(kHashesPerCall, sha256s.size()));
    OutgoingCall call(context);
    v1::FindFilesResponse response;
    const grpc::Status status = stub->FindFiles(call.client_context(), request, &response);
    if (!status.ok()) return FromGrpcStatus(status);
    for (const v1::StoredFile& file : response.files())
      found.push_back({.sha256 = BytesOfHex(file.sha256()), .uuid = file.uuid()});
  }
  return found;
}

absl::StatusOr<std::shared_ptr<ContentUpload>> PlatformFiles::Upload(absl::string_view sha256,
                                                                     int64_t size,
                                                                     const CallContext& context,
                                                                     UploadEvents events) const {
  ASSIGN_OR_RETURN(const auto stub, this->stub());
  auto upload = std::make_shared<StreamedUpload>(context, std::move(events));
  upload->Start(*stub, sha256, size);
  return upload;
}

absl::StatusOr<std::shared_ptr<ContentBatch>> PlatformFiles::Upload(
    std::vector<SmallContent> contents, const CallContext& context, BatchEnd ended) const {
  ASSIGN_OR_RETURN(const auto stub, this->stub());
  auto batch = std::make_shared<SentBatch>(context, std::move(ended));
  batch->Start(*stub, std::move(contents));
  return batch;
}

}  // namespace contree
