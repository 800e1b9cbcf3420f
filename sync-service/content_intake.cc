#include "sync-service/content_intake.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/status/status_context.h"
#include "common/status/status_macros.h"

namespace contree {
namespace {

constexpr size_t kMaxStreams = 16;
// What is no larger goes with others in one call, which costs more than such a content does.
constexpr int64_t kSmallBytes = 64 << 10;
constexpr size_t kMaxBatches = 4;
constexpr size_t kContentsPerBatch = 32;
constexpr size_t kBytesPerBatch = 512 << 10;
constexpr size_t kMaxPieceBytes = 256 << 10;
constexpr size_t kMaxWaitingBytes = 4 << 20;
constexpr size_t kMaxWaiting = 1024;
constexpr int kMaxAttempts = 5;

bool MayPass(const absl::Status& failure) {
  return absl::IsUnavailable(failure) || absl::IsResourceExhausted(failure);
}

}  // namespace

ContentIntake::ContentIntake(const PlatformFiles* platform, TimerQueue* timers,
                             const CallContext& context, Hooks hooks)
    : platform_(platform), timers_(timers), context_(context), hooks_(std::move(hooks)) {}

ContentIntake::~ContentIntake() { Abandon(); }

void ContentIntake::Want(const std::string& sha256, FileRef file, int64_t size) {
  const auto [found, is_new] = wanted_.try_emplace(sha256);
  Wanted& wanted = found->second;
  wanted.files.push_back(file);
  if (!is_new) return;
  wanted.size = size;
  AskFor(wanted, sha256, file);
}

void ContentIntake::AskFor(Wanted& wanted, const std::string& sha256, FileRef file) {
  wanted.asked = file;
  asked_.insert_or_assign(file, sha256);
  hooks_.ask(file);
}

void ContentIntake::StopTimer(Wanted& wanted) {
  if (wanted.asks_again.has_value()) timers_->Cancel(*wanted.asks_again);
  wanted.asks_again.reset();
}

absl::Status ContentIntake::Begin(FileRef file) {
  const auto asked = asked_.find(file);
  if (asked == asked_.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the content of '", hooks_.path_of(file), "' was not asked for"));
  }
  const uint64_t number = next_number_++;
  const int64_t size = wanted_.at(asked->second).size;
  uploads_[number].sha256 = asked->second;
  uploads_[number].size = size;
  arriving_ = {.file = file, .sha256 = std::move(asked->second), .upload = number, .size = size};
  asked_.erase(asked);
  waiting_.push_back(number);
  return absl::OkStatus();
}

absl::Status ContentIntake::Take(sync::v1::SyncContent& piece) {
  const FileRef file = {.directory = piece.directory(), .file = piece.file()};
  if (arriving_.has_value() && arriving_->file != file) {
    return absl::InvalidArgumentError(
        absl::StrCat("a piece of '", hooks_.path_of(file), "' came in the middle of '",
                     hooks_.path_of(arriving_->file), "': the pieces of a file must not be mixed"));
  }
  if (piece.data().size() > kMaxPieceBytes) {
    return absl::InvalidArgumentError(absl::StrCat("a piece of '", hooks_.path_of(file), "' has ",
                                                   piece.data().size(), " bytes: at most ",
                                                   kMaxPieceBytes, " are taken at once"));
  }
  if (piece.changed()) return DropChanged(file);
  if (!arriving_.has_value()) RETURN_IF_ERROR(Begin(file));

  Arriving& arriving = *arriving_;
  arriving.received += static_cast<int64_t>(piece.data().size());
  if (arriving.received > arriving.size || (piece.last() && arriving.received < arriving.size)) {
    return absl::AbortedError(absl::StrCat(
        "'", hooks_.path_of(file), "' was listed with ", arriving.size, " bytes and has ",
        piece.last() ? "" : "at least ", arriving.received, " now: it changes; sync again"));
  }
  // An upload that failed early has ended: what still comes of it is void, it is asked for again.
  if (const auto found = uploads_.find(arriving.upload); found != uploads_.end()) {
    Upload& upload = found->second;
    if (upload.stream != nullptr) {
      upload.stream->Push(std::move(*piece.mutable_data()), piece.last());
    } else {
      waiting_bytes_ += piece.data().size();
      upload.pieces.push_back(std::move(*piece.mutable_data()));
      upload.is_complete = piece.last();
    }
  }
  if (piece.last()) arriving_.reset();
  return absl::OkStatus();
}

absl::Status ContentIntake::DropChanged(FileRef file) {
  std::string sha256;
  if (arriving_.has_value()) {
    sha256 = arriving_->sha256;
    if (const auto found = uploads_.find(arriving_->upload); found != uploads_.end()) {
      found->second.is_void = true;
      if (found->second.stream != nullptr) {
        found->second.stream->Cancel();
      } else {
        for (const std::string& piece : found->second.pieces) waiting_bytes_ -= piece.size();
        waiting_.erase(std::find(waiting_.begin(), waiting_.end(), found->first));
        uploads_.erase(found);
      }
    }
    arriving_.reset();
  }
  if (const auto asked = asked_.find(file); asked != asked_.end()) {
    sha256 = asked->second;
    asked_.erase(asked);
  }
  const auto found = wanted_.find(sha256);
  if (found == wanted_.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the content of '", hooks_.path_of(file), "' was not asked for"));
  }
  // Other files were believed to have the same content, and may have it still.
  StopTimer(found->second);
  std::vector<FileRef>& files = found->second.files;
  files.erase(std::remove(files.begin(), files.end(), file), files.end());
  if (files.empty()) {
    wanted_.erase(found);
  } else {
    AskFor(found->second, sha256, files.front());
  }
  return hooks_.changed(file);
}

absl::Status ContentIntake::BeginUploads() {
  while (!waiting_.empty()) {
    const Upload& first = uploads_.at(waiting_.front());
    if (first.size > kSmallBytes) {
      if (streams_ == kMaxStreams) break;
      RETURN_IF_ERROR(BeginStream());
    } else {
      // One that is still arriving is the last.
      if (!first.is_complete || batches_.size() == kMaxBatches) break;
      RETURN_IF_ERROR(BeginBatch());
    }
  }
  return absl::OkStatus();
}

absl::Status ContentIntake::BeginStream() {
  const uint64_t number = waiting_.front();
  Upload& upload = uploads_.at(number);
  ASSIGN_OR_RETURN(
      upload.stream,
      platform_->Upload(upload.sha256, upload.size, context_,
                        {.moved = [this] { hooks_.post([] { return absl::OkStatus(); }); },
                         .ended =
                             [this, number](absl::StatusOr<std::string> uuid) {
                               hooks_.post([this, number, uuid = std::move(uuid)] {
                                 --streams_;
                                 RETURN_IF_ERROR(OnEnd(number, uuid));
                                 return is_abandoned_ ? absl::OkStatus() : BeginUploads();
                               });
                             }}));
  ++streams_;
  waiting_.pop_front();
  for (std::string& piece : upload.pieces) {
    waiting_bytes_ -= piece.size();
    const bool is_last = upload.is_complete && &piece == &upload.pieces.back();
    upload.stream->Push(std::move(piece), is_last);
  }
  upload.pieces.clear();
  return absl::OkStatus();
}

absl::Status ContentIntake::BeginBatch() {
  std::vector<uint64_t> numbers;
  std::vector<SmallContent> contents;
  size_t bytes = 0;
  while (!waiting_.empty() && numbers.size() < kContentsPerBatch && bytes < kBytesPerBatch) {
    Upload& upload = uploads_.at(waiting_.front());
    if (upload.size > kSmallBytes || !upload.is_complete) break;
    contents.push_back({.sha256 = upload.sha256,
                        .data = upload.pieces.size() == 1 ? std::move(upload.pieces.front())
                                                          : absl::StrJoin(upload.pieces, "")});
    bytes += contents.back().data.size();
    upload.pieces.clear();
    numbers.push_back(waiting_.front());
    waiting_.pop_front();
  }
  waiting_bytes_ -= bytes;
  const uint64_t batch = next_number_++;
  absl::StatusOr<std::shared_ptr<ContentBatch>> call = platform_->Upload(
      std::move(contents), context_,
      [this, batch, numbers](absl::StatusOr<std::vector<absl::StatusOr<std::string>>> uuids) {
        hooks_.post([this, batch, numbers, uuids = std::move(uuids)] {
          return OnBatchEnd(batch, numbers, uuids);
        });
      });
  if (!call.ok()) {
    for (const uint64_t number : numbers) uploads_.erase(number);
    return call.status();
  }
  batches_[batch] = {.call = *std::move(call), .bytes = bytes};
  return absl::OkStatus();
}

absl::Status ContentIntake::OnBatchEnd(
    uint64_t batch, const std::vector<uint64_t>& numbers,
    absl::StatusOr<std::vector<absl::StatusOr<std::string>>> uuids) {
  batches_.erase(batch);
  absl::Status status;
  for (size_t i = 0; i < numbers.size(); ++i) {
    status.Update(OnEnd(numbers[i], uuids.ok() ? std::move((*uuids)[i])
                                               : absl::StatusOr<std::string>(uuids.status())));
  }
  RETURN_IF_ERROR(status);
  return is_abandoned_ ? absl::OkStatus() : BeginUploads();
}

absl::Status ContentIntake::OnEnd(uint64_t number, absl::StatusOr<std::string> uuid) {
  const Upload upload = std::move(uploads_.at(number));
  uploads_.erase(number);
  if (is_abandoned_) return absl::OkStatus();
  if (upload.is_void) return absl::OkStatus();
  if (!uuid.ok()) return OnFailure(upload, uuid.status());
  const auto found = wanted_.find(upload.sha256);
  if (found == wanted_.end()) return absl::OkStatus();
  const Wanted wanted = std::move(found->second);
  wanted_.erase(found);
  ++uploaded_files_;
  uploaded_bytes_ += upload.size;
  return hooks_.stored({.sha256 = upload.sha256, .uuid = *std::move(uuid)}, wanted.files);
}

absl::Status ContentIntake::OnFailure(const Upload& upload, const absl::Status& failure) {
  const auto found = wanted_.find(upload.sha256);
  if (found == wanted_.end()) return absl::OkStatus();
  Wanted& wanted = found->second;
  const std::string path = hooks_.path_of(wanted.asked);
  if (absl::IsInvalidArgument(failure)) {
    return absl::FailedPreconditionError(
        absl::StrCat("the platform does not take '", path, "': ", failure.message()));
  }
  if (absl::IsDataLoss(failure)) {
    return absl::AbortedError(absl::StrCat(
        "'", path,
        "' changed between being hashed and being sent; sync again: ", failure.message()));
  }
  if (!MayPass(failure) || ++wanted.failures >= kMaxAttempts)
    return Annotate(failure, absl::StrCat("uploading '", path, "'"));
  // The pieces are gone by now, but the walker still has the file.
  wanted.asks_again =
      timers_->Add(absl::Now() + wanted.backoff.Next(), [this, sha256 = upload.sha256] {
        hooks_.post([this, sha256] {
          const auto again = wanted_.find(sha256);
          if (!is_abandoned_ && again != wanted_.end() && again->second.asks_again.has_value()) {
            again->second.asks_again.reset();
            AskFor(again->second, sha256, again->second.asked);
          }
          return absl::OkStatus();
        });
      });
  return absl::OkStatus();
}

bool ContentIntake::HasRoom() const {
  if (waiting_.size() >= kMaxWaiting) return false;
  size_t bytes = waiting_bytes_;
  for (const auto& [number, batch] : batches_) bytes += batch.bytes;
  for (const auto& [number, upload] : uploads_)
    if (upload.stream != nullptr) bytes += upload.stream->waiting_bytes();
  return bytes < kMaxWaitingBytes;
}

void ContentIntake::Abandon() {
  is_abandoned_ = true;
  for (const uint64_t number : waiting_) uploads_.erase(number);
  waiting_.clear();
  waiting_bytes_ = 0;
  for (auto& [number, upload] : uploads_)
    if (upload.stream != nullptr) upload.stream->Cancel();
  for (auto& [number, batch] : batches_)
    if (batch.call != nullptr) batch.call->Cancel();
  for (auto& [sha256, wanted] : wanted_) StopTimer(wanted);
}

}  // namespace contree
