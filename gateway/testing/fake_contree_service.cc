#include "gateway/testing/fake_contree_service.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace contree::gateway {
namespace {

using contree::v1::Operation;
using contree::v1::OperationEvent;

// How soon a stream notices that its client has left.
constexpr absl::Duration kLookInterval = absl::Milliseconds(5);

grpc::Status NotFound(absl::string_view what, absl::string_view which) {
  return {grpc::StatusCode::NOT_FOUND, absl::StrCat("no such ", what, ": '", which, "'")};
}

std::string AuthorizationOf(const grpc::ServerContext& context) {
  const auto found = context.client_metadata().find("authorization");
  if (found == context.client_metadata().end()) return "";
  return {found->second.data(), found->second.size()};
}

}  // namespace

void FakeContreeService::LoseFile(const std::string& uuid) {
  absl::MutexLock lock(&mutex_);
  lost_files_.insert(uuid);
}

void FakeContreeService::AddImage(const contree::v1::Image& image) {
  absl::MutexLock lock(&mutex_);
  images_.push_back(image);
}

void FakeContreeService::AddFile(const std::string& path, const std::string& content) {
  absl::MutexLock lock(&mutex_);
  files_[path] = content;
}

void FakeContreeService::AddEntry(const contree::v1::FileEntry& entry) {
  absl::MutexLock lock(&mutex_);
  entries_.push_back(entry);
}

void FakeContreeService::SetGrepAnswer(const contree::v1::GrepResponse& answer) {
  absl::MutexLock lock(&mutex_);
  grep_answer_ = answer;
}

void FakeContreeService::SetIdentity(const contree::v1::GetIdentityResponse& identity) {
  absl::MutexLock lock(&mutex_);
  identity_ = identity;
}

void FakeContreeService::AddLineage(const contree::v1::ImageLineage& lineage) {
  absl::MutexLock lock(&mutex_);
  lineages_[lineage.image()] = lineage;
}

void FakeContreeService::AddOrigin(const contree::v1::ImageOrigin& origin) {
  absl::MutexLock lock(&mutex_);
  *origins_.add_origins() = origin;
}

void FakeContreeService::BreakNextTransfer(int after_pieces, const grpc::Status& status) {
  absl::MutexLock lock(&mutex_);
  transfer_break_ = Break{.after_pieces = after_pieces, .status = status};
}

std::optional<FakeContreeService::Break> FakeContreeService::TakeTransferBreak() {
  absl::MutexLock lock(&mutex_);
  return std::exchange(transfer_break_, std::nullopt);
}

void FakeContreeService::HoldOperations() {
  absl::MutexLock lock(&mutex_);
  hold_ = true;
}

void FakeContreeService::AddOperation(const std::string& id) {
  absl::MutexLock lock(&mutex_);
  FakeOperation& operation = operations_[id];
  operation.record.set_id(id);
  operation.record.set_kind(contree::v1::OPERATION_KIND_INSTANCE);
  operation.record.set_state(contree::v1::OPERATION_STATE_EXECUTING);
}

void FakeContreeService::Emit(const std::string& id, OperationEvent event) {
  absl::MutexLock lock(&mutex_);
  auto& events = operations_.at(id).events;
  event.set_id(static_cast<int64_t>(events.size()) + 1);
  events.push_back(std::move(event));
}

void FakeContreeService::Complete(const std::string& id, Operation record) {
  absl::MutexLock lock(&mutex_);
  CompleteLocked(id, std::move(record));
}

void FakeContreeService::CompleteLocked(const std::string& id, Operation record) {
  FakeOperation& operation = operations_.at(id);
  record.set_id(id);
  operation.record = record;
  OperationEvent event;
  event.set_id(static_cast<int64_t>(operation.events.size()) + 1);
  *event.mutable_completed() = std::move(record);
  operation.events.push_back(std::move(event));
  operation.ended = true;
}

void FakeContreeService::BreakNextWatch(int after_events, const grpc::Status& status) {
  absl::MutexLock lock(&mutex_);
  break_after_ = after_events;
  break_status_ = status;
}

void FakeContreeService::BreakNextWatchOfMany(const grpc::Status& status) {
  absl::MutexLock lock(&mutex_);
  break_many_status_ = status;
}

void FakeContreeService::FailCalls(const grpc::Status& status) {
  absl::MutexLock lock(&mutex_);
  failure_ = status;
}

void FakeContreeService::HangNextGetImage() {
  absl::MutexLock lock(&mutex_);
  hang_next_ = true;
}

void FakeContreeService::WaitForHangingCall() {
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&is_hanging_));
}

void FakeContreeService::WaitForWatches(int count) {
  absl::MutexLock lock(&mutex_);
  const auto enough = [this, count]()
                          ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return watches_ >= count; };
  mutex_.Await(absl::Condition(&enough));
}

void FakeContreeService::WaitForCancellations(int count) {
  absl::MutexLock lock(&mutex_);
  const auto enough = [this, count]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return static_cast<int>(calls_.cancelled.size()) >= count;
  };
  mutex_.Await(absl::Condition(&enough));
}

FakeCalls FakeContreeService::calls() {
  absl::MutexLock lock(&mutex_);
  return calls_;
}

const contree::v1::Image* FakeContreeService::FindImage(absl::string_view reference) const {
  absl::string_view tag = reference;
  const bool is_tag = absl::ConsumePrefix(&tag, "tag:");
  for (const contree::v1::Image& image : images_) {
    if (is_tag ? image.tag() == tag : image.uuid() == reference) return &image;
  }
  return nullptr;
}

grpc::Status FakeContreeService::ListImages(grpc::ServerContext* context,
                                            const contree::v1::ListImagesRequest* request,
                                            contree::v1::ListImagesResponse* response) {
  absl::MutexLock lock(&mutex_);
  calls_.authorizations.push_back(AuthorizationOf(*context));
  calls_.list_images.push_back(*request);
  for (const auto& image : images_) *response->add_images() = image;
  return failure_;
}

grpc::Status FakeContreeService::GetImage(grpc::ServerContext* context,
                                          const contree::v1::GetImageRequest* request,
                                          contree::v1::GetImageResponse* response) {
  absl::MutexLock lock(&mutex_);
  if (std::exchange(hang_next_, false)) {
    is_hanging_ = true;
    const auto is_cancelled = [context] { return context->IsCancelled(); };
    while (!mutex_.AwaitWithTimeout(absl::Condition(&is_cancelled), kLookInterval)) {
    }
    return grpc::Status::CANCELLED;
  }
  const contree::v1::Image* image = FindImage(request->image());
  if (image == nullptr) return NotFound("image", request->image());
  *response->mutable_image() = *image;
  return failure_;
}

grpc::Status FakeContreeService::SetTag(grpc::ServerContext*,
                                        const contree::v1::SetTagRequest* request,
                                        contree::v1::SetTagResponse* response) {
  absl::MutexLock lock(&mutex_);
  calls_.set_tag.push_back(*request);
  const contree::v1::Image* image = FindImage(request->image());
  if (image == nullptr) return NotFound("image", request->image());
  *response->mutable_image() = *image;
  response->mutable_image()->set_tag(request->tag());
  return failure_;
}

grpc::Status FakeContreeService::RunInstance(grpc::ServerContext* context,
                                             const contree::v1::RunInstanceRequest* request,
                                             contree::v1::RunInstanceResponse* response) {
  absl::MutexLock lock(&mutex_);
  if (!failure_.ok()) return failure_;
  const contree::v1::Image* image = FindImage(request->image());
  if (image == nullptr) return NotFound("image", request->image());
  for (const auto& [path, file] : request->files()) {
    if (lost_files_.contains(file.uuid())) return NotFound("file", file.uuid());
  }
  calls_.run.push_back(*request);
  calls_.run_deadlines.push_back(absl::FromChrono(context->deadline()));
  const std::string id = absl::StrCat("op-", calls_.run.size());
  FakeOperation& operation = operations_[id];
  operation.record.set_id(id);
  operation.record.set_kind(contree::v1::OPERATION_KIND_INSTANCE);
  operation.record.set_state(contree::v1::OPERATION_STATE_EXECUTING);
  operation.record.set_image(image->uuid());
  response->set_operation_id(id);
  if (!hold_) {
    Operation record = operation.record;
    record.set_state(contree::v1::OPERATION_STATE_SUCCESS);
    record.mutable_instance()->mutable_stdout()->set_data(request->command());
    CompleteLocked(id, std::move(record));
  }
  return grpc::Status::OK;
}

grpc::Status FakeContreeService::ImportImage(grpc::ServerContext*,
                                             const contree::v1::ImportImageRequest* request,
                                             contree::v1::ImportImageResponse* response) {
  absl::MutexLock lock(&mutex_);
  if (!failure_.ok()) return failure_;
  calls_.imports.push_back(*request);
  const std::string id = absl::StrCat("import-", calls_.imports.size());
  FakeOperation& operation = operations_[id];
  operation.record.set_id(id);
  operation.record.set_kind(contree::v1::OPERATION_KIND_IMAGE_IMPORT);
  operation.record.set_state(contree::v1::OPERATION_STATE_EXECUTING);
  operation.record.mutable_import()->set_registry_url(request->registry_url());
  response->set_operation_id(id);
  if (!hold_) {
    Operation record = operation.record;
    record.set_state(contree::v1::OPERATION_STATE_SUCCESS);
    record.set_result_image(absl::StrCat("image-of-", id));
    record.set_result_tag(request->tag());
    CompleteLocked(id, std::move(record));
  }
  return grpc::Status::OK;
}

grpc::Status FakeContreeService::GetOperation(grpc::ServerContext*,
                                              const contree::v1::GetOperationRequest* request,
                                              contree::v1::GetOperationResponse* response) {
  absl::MutexLock lock(&mutex_);
  const auto found = operations_.find(request->operation_id());
  if (found == operations_.end()) return NotFound("operation", request->operation_id());
  *response->mutable_operation() = found->second.record;
  return failure_;
}

grpc::Status FakeContreeService::ListOperations(grpc::ServerContext*,
                                                const contree::v1::ListOperationsRequest* request,
                                                contree::v1::ListOperationsResponse* response) {
  absl::MutexLock lock(&mutex_);
  calls_.list_operations.push_back(*request);
  for (const auto& [id, operation] : operations_) *response->add_operations() = operation.record;
  return failure_;
}

grpc::Status FakeContreeService::WatchOperation(
    grpc::ServerContext* context, const contree::v1::WatchOperationRequest* request,
    grpc::ServerWriter<contree::v1::WatchOperationResponse>* writer) {
  size_t next = request->has_after_event_id() ? static_cast<size_t>(request->after_event_id()) : 0;
  int break_after = -1;
  grpc::Status break_status;
  {
    absl::MutexLock lock(&mutex_);
    calls_.authorizations.push_back(AuthorizationOf(*context));
    calls_.watch.push_back(*request);
    ++watches_;
    if (!operations_.contains(request->operation_id())) {
      return NotFound("operation", request->operation_id());
    }
    break_after = std::exchange(break_after_, -1);
    break_status = break_status_;
  }
  while (!context->IsCancelled()) {
    if (break_after == 0) return break_status;
    contree::v1::WatchOperationResponse response;
    {
      absl::MutexLock lock(&mutex_);
      const FakeOperation& operation = operations_.at(request->operation_id());
      const auto more = [&operation, next] { return operation.events.size() > next; };
      if (!mutex_.AwaitWithTimeout(absl::Condition(&more), kLookInterval)) {
        if (operation.ended) return grpc::Status::OK;
        continue;
      }
      *response.mutable_event() = operation.events[next++];
    }
    writer->Write(response);
    if (response.event().has_completed()) return grpc::Status::OK;
    if (break_after > 0) --break_after;
  }
  return grpc::Status::CANCELLED;
}

grpc::Status FakeContreeService::WatchOperations(
    grpc::ServerContext* context, const contree::v1::WatchOperationsRequest* request,
    grpc::ServerWriter<contree::v1::WatchOperationsResponse>* writer) {
  std::set<std::string> open(request->operation_ids().begin(), request->operation_ids().end());
  {
    absl::MutexLock lock(&mutex_);
    calls_.watch_many.push_back(*request);
    ++watches_;
    if (!break_many_status_.ok()) return std::exchange(break_many_status_, grpc::Status::OK);
  }
  const bool any = request->mode() == contree::v1::WATCH_MODE_ANY;
  while (!context->IsCancelled()) {
    std::vector<contree::v1::WatchOperationsResponse> responses;
    {
      absl::MutexLock lock(&mutex_);
      const auto has_ended = [this, &open]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
        for (const std::string& id : open) {
          const auto found = operations_.find(id);
          if (found == operations_.end() || found->second.ended) return true;
        }
        return false;
      };
      if (!mutex_.AwaitWithTimeout(absl::Condition(&has_ended), kLookInterval)) continue;
      for (const std::string& id : std::set<std::string>(open)) {
        contree::v1::WatchOperationsResponse response;
        response.set_operation_id(id);
        const auto found = operations_.find(id);
        if (found == operations_.end()) {
          response.mutable_error()->set_code(grpc::StatusCode::NOT_FOUND);
          response.mutable_error()->set_message("no such operation");
        } else if (found->second.ended) {
          *response.mutable_operation() = found->second.record;
        } else {
          continue;
        }
        open.erase(id);
        responses.push_back(std::move(response));
      }
    }
    for (const auto& response : responses) {
      writer->Write(response);
      if (any && response.has_operation()) return grpc::Status::OK;
    }
    if (open.empty()) return grpc::Status::OK;
  }
  return grpc::Status::CANCELLED;
}

grpc::Status FakeContreeService::CancelOperation(grpc::ServerContext*,
                                                 const contree::v1::CancelOperationRequest* request,
                                                 contree::v1::CancelOperationResponse* response) {
  absl::MutexLock lock(&mutex_);
  if (!failure_.ok()) return failure_;
  const auto found = operations_.find(request->operation_id());
  if (found == operations_.end()) return NotFound("operation", request->operation_id());
  if (!found->second.ended) {
    Operation record = found->second.record;
    record.set_state(contree::v1::OPERATION_STATE_CANCELLED);
    CompleteLocked(found->first, std::move(record));
    calls_.cancelled.push_back(found->first);
    response->set_cancelled(true);
  }
  *response->mutable_operation() = found->second.record;
  return grpc::Status::OK;
}

grpc::Status FakeContreeService::ListFiles(
    grpc::ServerContext*, const contree::v1::ListFilesRequest* request,
    grpc::ServerWriter<contree::v1::ListFilesResponse>* writer) {
  absl::MutexLock lock(&mutex_);
  if (FindImage(request->image()) == nullptr) return NotFound("image", request->image());
  // One to a message: pieces have to be put together.
  for (const auto& entry : entries_) {
    contree::v1::ListFilesResponse response;
    *response.add_entries() = entry;
    writer->Write(response);
  }
  return failure_;
}

grpc::Status FakeContreeService::ReadFile(
    grpc::ServerContext*, const contree::v1::ReadFileRequest* request,
    grpc::ServerWriter<contree::v1::ReadFileResponse>* writer) {
  std::string content;
  {
    absl::MutexLock lock(&mutex_);
    if (FindImage(request->image()) == nullptr) return NotFound("image", request->image());
    const auto found = files_.find(request->path());
    if (found == files_.end()) return NotFound("file", request->path());
    content = found->second;
  }
  const std::optional<Break> interruption = TakeTransferBreak();
  constexpr size_t kPieceBytes = 256 * 1024;
  int pieces = 0;
  for (size_t i = 0; i < content.size(); i += kPieceBytes, ++pieces) {
    if (interruption.has_value() && pieces == interruption->after_pieces) {
      return interruption->status;
    }
    contree::v1::ReadFileResponse response;
    response.set_data(content.substr(i, kPieceBytes));
    if (!writer->Write(response)) return grpc::Status::CANCELLED;
  }
  return grpc::Status::OK;
}

grpc::Status FakeContreeService::GetImageLineage(grpc::ServerContext*,
                                                 const contree::v1::GetImageLineageRequest* request,
                                                 contree::v1::GetImageLineageResponse* response) {
  absl::MutexLock lock(&mutex_);
  if (!failure_.ok()) return failure_;
  const contree::v1::Image* image = FindImage(request->image());
  const auto found = lineages_.find(image == nullptr ? request->image() : image->uuid());
  if (found == lineages_.end()) return NotFound("image", request->image());
  *response->mutable_lineage() = found->second;
  return grpc::Status::OK;
}

grpc::Status FakeContreeService::ListImageOrigins(
    grpc::ServerContext*, const contree::v1::ListImageOriginsRequest*,
    grpc::ServerWriter<contree::v1::ListImageOriginsResponse>* writer) {
  absl::MutexLock lock(&mutex_);
  if (!failure_.ok()) return failure_;
  writer->Write(origins_);
  return grpc::Status::OK;
}

grpc::Status FakeContreeService::Grep(grpc::ServerContext*, const contree::v1::GrepRequest* request,
                                      contree::v1::GrepResponse* response) {
  absl::MutexLock lock(&mutex_);
  calls_.grep.push_back(*request);
  if (FindImage(request->image()) == nullptr) return NotFound("image", request->image());
  *response = grep_answer_;
  return failure_;
}

grpc::Status FakeContreeService::UploadFile(
    grpc::ServerContext*, grpc::ServerReader<contree::v1::UploadFileRequest>* reader,
    contree::v1::UploadFileResponse* response) {
  const std::optional<Break> interruption = TakeTransferBreak();
  FakeUpload upload;
  contree::v1::UploadFileRequest request;
  if (!reader->Read(&request) || !request.has_header()) {
    return {grpc::StatusCode::INVALID_ARGUMENT, "the first message is no header"};
  }
  if (request.header().has_size()) upload.size = request.header().size();
  while (true) {
    if (interruption.has_value() && upload.pieces == interruption->after_pieces) {
      return interruption->status;
    }
    if (!reader->Read(&request)) break;
    if (!request.has_data()) return {grpc::StatusCode::INVALID_ARGUMENT, "a second header"};
    upload.data += request.data();
    ++upload.pieces;
  }
  absl::MutexLock lock(&mutex_);
  response->mutable_file()->set_size(static_cast<int64_t>(upload.data.size()));
  calls_.uploads.push_back(std::move(upload));
  response->mutable_file()->set_uuid(absl::StrCat("file-", calls_.uploads.size()));
  response->mutable_file()->set_sha256(std::string(64, 'a'));
  return failure_;
}

grpc::Status FakeContreeService::GetIdentity(grpc::ServerContext*,
                                             const contree::v1::GetIdentityRequest*,
                                             contree::v1::GetIdentityResponse* response) {
  absl::MutexLock lock(&mutex_);
  *response = identity_;
  return failure_;
}

}  // namespace contree::gateway
