#ifndef SYNC_SERVICE_TESTING_FAKE_PLATFORM_H_
#define SYNC_SERVICE_TESTING_FAKE_PLATFORM_H_

// The part of contree-service that sync-service calls, with the platform's files in memory.

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/files/sha256.h"
#include "common/uuid/uuid.h"
#include "contree/v1/contree_service.grpc.pb.h"

namespace contree {

// Thread-safe.
class FakePlatform final : public v1::ContreeService::Service {
 public:
  grpc::Status FindFiles(grpc::ServerContext* /*context*/, const v1::FindFilesRequest* request,
                         v1::FindFilesResponse* response) override {
    absl::MutexLock lock(&mutex_);
    if (request->sha256_size() > 0) ++finds_;
    response->set_platform(platform_);
    for (const std::string& sha256 : request->sha256()) {
      if (const auto found = files_.find(sha256); found != files_.end()) {
        v1::StoredFile& file = *response->add_files();
        file.set_sha256(sha256);
        file.set_uuid(found->second);
      }
    }
    return grpc::Status::OK;
  }

  grpc::Status UploadFile(grpc::ServerContext* context,
                          grpc::ServerReader<v1::UploadFileRequest>* reader,
                          v1::UploadFileResponse* response) override {
    v1::UploadFileRequest message;
    if (!reader->Read(&message) || !message.has_header())
      return {grpc::StatusCode::INVALID_ARGUMENT, "no header"};
    const v1::UploadFileHeader header = message.header();
    {
      absl::MutexLock lock(&mutex_);
      if (!early_failures_.empty()) {
        const grpc::Status failure = early_failures_.back();
        early_failures_.pop_back();
        return failure;
      }
      ++begun_;
      most_at_once_ = std::max(most_at_once_, ++at_once_);
      const auto is_open = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return !is_held_; };
      mutex_.Await(absl::Condition(&is_open));
    }
    std::string data;
    while (reader->Read(&message)) data += message.data();
    absl::MutexLock lock(&mutex_);
    --at_once_;
    if (context->IsCancelled()) return {grpc::StatusCode::CANCELLED, "the caller left"};
    if (!failures_.empty()) {
      const grpc::Status failure = failures_.back();
      failures_.pop_back();
      return failure;
    }
    const std::string sha256 = Sha256Hex(data);
    if (header.sha256() != sha256 || header.size() != static_cast<int64_t>(data.size()))
      return {grpc::StatusCode::DATA_LOSS, "it has another SHA-256"};
    Store(data, sha256, *response->mutable_file());
    return grpc::Status::OK;
  }

  grpc::Status UploadFiles(grpc::ServerContext* context, const v1::UploadFilesRequest* request,
                           v1::UploadFilesResponse* response) override {
    absl::MutexLock lock(&mutex_);
    const int count = request->contents_size();
    most_in_one_ = std::max(most_in_one_, count);
    if (!early_failures_.empty()) {
      const grpc::Status failure = early_failures_.back();
      early_failures_.pop_back();
      return failure;
    }
    begun_ += count;
    ++at_once_;
    const auto is_open = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return !is_held_; };
    mutex_.Await(absl::Condition(&is_open));
    --at_once_;
    if (context->IsCancelled()) return {grpc::StatusCode::CANCELLED, "the caller left"};
    for (const v1::UploadFilesRequest::Content& content : request->contents()) {
      v1::UploadFilesResponse::Outcome& outcome = *response->add_outcomes();
      const std::string sha256 = Sha256Hex(content.data());
      grpc::Status status;
      if (!failures_.empty()) {
        status = failures_.back();
        failures_.pop_back();
      } else if (content.sha256() != sha256) {
        status = {grpc::StatusCode::DATA_LOSS, "it has another SHA-256"};
      }
      if (!status.ok()) {
        outcome.set_code(static_cast<int>(status.error_code()));
        outcome.set_message(status.error_message());
        continue;
      }
      Store(content.data(), sha256, *outcome.mutable_file());
    }
    return grpc::Status::OK;
  }

  void SetPlatform(const std::string& platform) {
    absl::MutexLock lock(&mutex_);
    platform_ = platform;
  }
  void Add(const std::string& content) {
    absl::MutexLock lock(&mutex_);
    files_[Sha256Hex(content)] = NewUuidV4();
  }
  void Remove(const std::string& content) {
    absl::MutexLock lock(&mutex_);
    files_.erase(Sha256Hex(content));
  }
  std::string UuidOf(const std::string& content) const {
    absl::MutexLock lock(&mutex_);
    const auto found = files_.find(Sha256Hex(content));
    return found == files_.end() ? "" : found->second;
  }
  // The next upload fails so.
  void FailNext(const grpc::Status& failure) {
    absl::MutexLock lock(&mutex_);
    failures_.push_back(failure);
  }
  // The same, without reading its content.
  void FailNextEarly(const grpc::Status& failure) {
    absl::MutexLock lock(&mutex_);
    early_failures_.push_back(failure);
  }
  // Uploads that have begun do not go on until Release.
  void Hold() {
    absl::MutexLock lock(&mutex_);
    is_held_ = true;
  }
  void Release() {
    absl::MutexLock lock(&mutex_);
    is_held_ = false;
  }
  void AwaitBegun(int count) const {
    absl::MutexLock lock(&mutex_);
    const auto begun = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return begun_ >= count; };
    mutex_.Await(absl::Condition(&begun));
  }
  // No upload is under way.
  void AwaitIdle() const {
    absl::MutexLock lock(&mutex_);
    const auto idle = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return at_once_ == 0; };
    mutex_.Await(absl::Condition(&idle));
  }

  // The contents that were uploaded, in the order of their ends.
  std::vector<std::string> uploads() const {
    absl::MutexLock lock(&mutex_);
    return uploads_;
  }
  int finds() const {
    absl::MutexLock lock(&mutex_);
    return finds_;
  }
  // Contents in one call.
  int most_in_one() const {
    absl::MutexLock lock(&mutex_);
    return most_in_one_;
  }
  // Calls.
  int most_at_once() const {
    absl::MutexLock lock(&mutex_);
    return most_at_once_;
  }

 private:
  void Store(const std::string& data, const std::string& sha256, v1::StoredFile& file)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    uploads_.push_back(data);
    std::string& uuid = files_[sha256];
    if (uuid.empty()) uuid = NewUuidV4();
    file.set_uuid(uuid);
    file.set_sha256(sha256);
    file.set_size(static_cast<int64_t>(data.size()));
  }

  mutable absl::Mutex mutex_;
  std::string platform_ ABSL_GUARDED_BY(mutex_) = "p";
  std::map<std::string, std::string> files_ ABSL_GUARDED_BY(mutex_);  // SHA-256 → uuid
  std::vector<std::string> uploads_ ABSL_GUARDED_BY(mutex_);
  std::vector<grpc::Status> failures_ ABSL_GUARDED_BY(mutex_);
  std::vector<grpc::Status> early_failures_ ABSL_GUARDED_BY(mutex_);
  int finds_ ABSL_GUARDED_BY(mutex_) = 0;
  int begun_ ABSL_GUARDED_BY(mutex_) = 0;
  int at_once_ ABSL_GUARDED_BY(mutex_) = 0;
  int most_at_once_ ABSL_GUARDED_BY(mutex_) = 0;
  int most_in_one_ ABSL_GUARDED_BY(mutex_) = 0;
  bool is_held_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace contree

#endif  // SYNC_SERVICE_TESTING_FAKE_PLATFORM_H_
