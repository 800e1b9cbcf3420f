#include "gateway/sync/sync_conversation.h"

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/rpc/grpc_context.h"
#include "common/status/grpc_status.h"
#include "common/status/status_macros.h"
#include "gateway/sync/file_reader.h"

namespace contree::gateway {
namespace {

using sync::v1::SyncContents;
using sync::v1::SyncFiles;
using sync::v1::SyncHashes;
using sync::v1::SyncRequest;
using sync::v1::SyncResponse;

constexpr int kHashThreads = 2;
// What one message of hashes covers at most.
constexpr size_t kMinHashBatchFiles = 50;
constexpr size_t kHashBatchFiles = 256;
constexpr int64_t kHashBatchBytes = 8 << 20;
constexpr size_t kMessageBytes = 512 << 10;
// sync-service uploads as many small files together.
constexpr int kContentsPerMessage = 32;
constexpr absl::Duration kReportEvery = absl::Milliseconds(250);
// How often a file is hashed anew because it changed before it was sent.
constexpr int kMaxVoidContents = 3;

constexpr size_t kDigestBytes = 32;

struct FileNumber {
  uint32_t directory;
  uint32_t file;
};

uint64_t KeyOf(const FileNumber& number) { return uint64_t{number.directory} << 32 | number.file; }

// Finds files of a tree by their numbers; quick where they come directory by directory. For one
// thread.
class TreeFiles {
 public:
  explicit TreeFiles(const Tree& tree) : tree_(tree) {}

  FileInTree At(const FileNumber& number) {
    const TreeDirectory& directory = *tree_.directories[number.directory];
    if (number.directory != current_) {
      names_ = directory.Names();
      current_ = number.directory;
    }
    return {
        .path = JoinTreePath(directory.path, names_[number.file]),
        .is_link = std::binary_search(directory.links.begin(), directory.links.end(), number.file)};
  }
  FileRow RowAt(const FileNumber& number) const {
    return tree_.directories[number.directory]->Row(static_cast<int>(number.file));
  }

 private:
  const Tree& tree_;
  std::vector<absl::string_view> names_;
  std::optional<uint32_t> current_;
};

class Conversation {
 public:
  Conversation(sync::v1::SyncService::StubInterface& service, const Tree& tree,
               const CallContext& context)
      : tree_(tree), call_(context), stream_(service.Sync(call_.client_context())) {}

  absl::StatusOr<SyncOutcome> Hold(const SyncTarget& target,
                                   absl::FunctionRef<void(const SyncProgress&)> report) {
    const absl::Status read = Begin(target);
    if (read.ok() && !HasResult()) Work(report);
    if (HasResult()) stream_->WritesDone();
    if (!read.ok()) call_.client_context()->TryCancel();
    SyncResponse unread;
    while (stream_->Read(&unread)) {
    }
    const grpc::Status status = stream_->Finish();
    absl::MutexLock lock(&mutex_);
    if (outcome_.has_value()) return *std::move(outcome_);
    RETURN_IF_ERROR(read);
    RETURN_IF_ERROR(error_);
    if (!status.ok()) return FromGrpcStatus(status);
    return absl::InternalError("sync-service ended the sync without a result: sync again");
  }

 private:
  static absl::Status Senseless() {
    return absl::InternalError(
        "sync-service asked for something that makes no sense: gateway and sync-service have to "
        "be of the same version");
  }

  // Until the result, or until files are asked for. What the service says in between is answered
  // here. OK also where the stream broke: Finish tells why.
  absl::Status Begin(const SyncTarget& target) {
    SyncRequest request;
    request.mutable_begin()->set_source(target.source);
    request.mutable_begin()->set_view(target.view);
    request.mutable_begin()->set_destination(target.destination);
    request.mutable_begin()->set_tree_digest(tree_.digest);
    request.mutable_begin()->set_is_watched(target.is_watched);
    SyncResponse response;
    if (!Write(request) || !stream_->Read(&response)) return absl::OkStatus();
    if (response.has_result()) {
      SetResult(*response.mutable_result());
      return absl::OkStatus();
    }
    if (!response.has_need_directories()) return Senseless();
    SendDirectories();
    if (!stream_->Read(&response)) return absl::OkStatus();
    if (response.has_result()) {
      SetResult(*response.mutable_result());
      return absl::OkStatus();
    }
    if (!response.has_need_listings()) return Senseless();
    for (const uint32_t directory : response.need_listings().directories()) {
      if (directory >= tree_.directories.size()) return Senseless();
    }
    SendListings(response.need_listings());
    return absl::OkStatus();
  }

  void SendDirectories() {
    SyncRequest request;
    size_t size = 0;
    const auto flush = [&](uint32_t next) {
      const bool taken = Write(request);
      request.mutable_directories()->Clear();
      request.mutable_directories()->set_first(next);
      size = 0;
      return taken;
    };
    request.mutable_directories()->set_first(0);
    for (uint32_t i = 0; i < tree_.directories.size(); ++i) {
      const TreeDirectory& directory = *tree_.directories[i];
      const size_t more = directory.path.size() + kDigestBytes + 4;
      if (size + more > kMessageBytes && size > 0 && !flush(i)) return;
      request.mutable_directories()->add_paths(directory.path);
      request.mutable_directories()->mutable_digests()->append(directory.digest);
      size += more;
    }
    request.mutable_directories()->set_last(true);
    flush(0);
  }

  void SendListings(const sync::v1::NeedListings& needed) {
    SyncRequest request;
    request.mutable_listings();
    size_t size = 0;
    for (const uint32_t number : needed.directories()) {
      std::string listing = tree_.directories[number]->listing.SerializeAsString();
      if (size + listing.size() > kMessageBytes && size > 0) {
        if (!Write(request)) return;
        request.mutable_listings()->Clear();
        size = 0;
      }
      size += listing.size() + 8;
      request.mutable_listings()->add_directories(number);
      request.mutable_listings()->add_listings(std::move(listing));
    }
    request.mutable_listings()->set_last(true);
    Write(request);
  }

  // Reads what is asked for and answers it on threads of their own; returns when all have ended.
  void Work(absl::FunctionRef<void(const SyncProgress&)> report) {
    std::vector<std::thread> threads;
    threads.emplace_back([this] { ReadRequests(); });
    for (int i = 0; i < kHashThreads; ++i) threads.emplace_back([this] { HashFiles(); });
    threads.emplace_back([this] { SendContents(); });
    for (;;) {
      SyncProgress progress;
      {
        absl::MutexLock lock(&mutex_);
        if (mutex_.AwaitWithTimeout(absl::Condition(&ended_), kReportEvery)) break;
        progress = progress_;
      }
      report(progress);
    }
    for (std::thread& thread : threads) thread.join();
  }

  void ReadRequests() {
    SyncResponse response;
    bool goes_on = true;
    while (goes_on && stream_->Read(&response)) {
      absl::MutexLock lock(&mutex_);
      switch (response.message_case()) {
        case SyncResponse::kNeedHash:
          goes_on = Queue(response.need_hash().files(), to_hash_, progress_.files_to_hash,
                          progress_.bytes_to_hash);
          break;
        case SyncResponse::kNeedContent:
          goes_on = Queue(response.need_content(), to_send_, progress_.files_to_send,
                          progress_.bytes_to_send);
          break;
        case SyncResponse::kResult:
          SetResultLocked(*response.mutable_result());
          goes_on = false;
          break;
        default:
          error_ = Senseless();
          goes_on = false;
      }
    }
    stop_.request_stop();
    absl::MutexLock lock(&mutex_);
    ended_ = true;
    // A thread that waits for the service to take something is let go.
    if (!error_.ok()) call_.client_context()->TryCancel();
  }

  bool Queue(const SyncFiles& files, std::deque<FileNumber>& queue, int64_t& count, int64_t& bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (files.directories_size() != files.files_size()) {
      error_ = Senseless();
      return false;
    }
    for (int i = 0; i < files.files_size(); ++i) {
      const FileNumber number{.directory = files.directories(i), .file = files.files(i)};
      if (number.directory >= tree_.directories.size() ||
          number.file >= static_cast<uint32_t>(tree_.directories[number.directory]->files())) {
        error_ = Senseless();
        return false;
      }
      queue.push_back(number);
      ++count;
      bytes += tree_.directories[number.directory]->listing.sizes(static_cast<int>(number.file));
    }
    return true;
  }

  bool MayHash() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return !to_hash_.empty() || ended_; }
  bool MaySend() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return !to_send_.empty() || ended_; }

  // Some files to hash, in their order; none: the conversation has ended.
  std::vector<FileNumber> TakeToHash() {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(this, &Conversation::MayHash));
    // Few files are shared out between the threads.
    const size_t most =
        std::clamp(to_hash_.size() / kHashThreads, kMinHashBatchFiles, kHashBatchFiles);
    std::vector<FileNumber> batch;
    int64_t bytes = 0;
    while (!ended_ && !to_hash_.empty() && batch.size() < most && bytes < kHashBatchBytes) {
      const FileNumber number = to_hash_.front();
      to_hash_.pop_front();
      bytes += tree_.directories[number.directory]->listing.sizes(static_cast<int>(number.file));
      batch.push_back(number);
    }
    return batch;
  }

  void HashFiles() {
    TreeFiles files(tree_);
    FileReader reader;
    for (;;) {
      const std::vector<FileNumber> batch = TakeToHash();
      if (batch.empty()) return;
      SyncRequest request;
      for (const FileNumber& number : batch) {
        const FileInTree file = files.At(number);
        const FileRow listed = files.RowAt(number);
        const HashedFile hashed = reader.Hash(*tree_.root, file, stop_.get_token());
        if (hashed.outcome == HashedFile::Outcome::kStopped) return;
        AddHashed(number, file, listed, hashed, *request.mutable_hashed());
        absl::MutexLock lock(&mutex_);
        ++progress_.files_hashed;
        progress_.bytes_hashed += listed.size;
      }
      if (!Write(request)) return;
    }
  }

  void AddHashed(const FileNumber& number, const FileInTree& file, const FileRow& listed,
                 const HashedFile& hashed, SyncHashes& hashes) {
    hashes.mutable_files()->add_directories(number.directory);
    hashes.mutable_files()->add_files(number.file);
    const auto position = static_cast<uint32_t>(hashes.files().files_size() - 1);
    absl::MutexLock lock(&mutex_);
    if (hashed.outcome != HashedFile::Outcome::kHashed) {
      hashes.mutable_sha256s()->append(kDigestBytes, '\0');
      sync::v1::SyncChangedFile& gone = *hashes.add_changed();
      gone.set_position(position);
      gone.set_gone(true);
      told_changes_ = true;
      said_.erase(KeyOf(number));
      if (hashed.outcome == HashedFile::Outcome::kUnreadable) {
        omissions_.Add(Omission::kUnreadableFile, file.path);
      } else if (hashed.outcome == HashedFile::Outcome::kUnsettled) {
        omissions_.Add(Omission::kUnsettled, file.path);
      }
      return;
    }
    hashes.mutable_sha256s()->append(hashed.sha256);
    Said& said = said_[KeyOf(number)];
    said.size = hashed.row.size;
    std::copy(hashed.sha256.begin(), hashed.sha256.end(), said.sha256.begin());
    if (listed.HasStatOf(hashed.row) && (listed.is_young || !hashed.row.is_young)) return;
    sync::v1::SyncChangedFile& changed = *hashes.add_changed();
    changed.set_position(position);
    changed.set_mode(hashed.row.mode);
    changed.set_size(hashed.row.size);
    changed.set_mtime_ns(hashed.row.mtime_ns);
    changed.set_ctime_ns(hashed.row.ctime_ns);
    changed.set_inode(hashed.row.inode);
    changed.set_young(hashed.row.is_young);
    told_changes_ = true;
  }

  // nullopt: nothing is asked for now, or the conversation has ended.
  std::optional<FileNumber> TakeToSend(bool wait) {
    absl::MutexLock lock(&mutex_);
    if (wait) mutex_.Await(absl::Condition(this, &Conversation::MaySend));
    if (ended_ || to_send_.empty()) return std::nullopt;
    const FileNumber number = to_send_.front();
    to_send_.pop_front();
    return number;
  }

  void SendContents() {
    TreeFiles files(tree_);
    FileReader reader;
    SyncRequest request;
    size_t size = 0;
    const auto flush = [&] {
      if (size == 0) return true;
      const bool taken = Write(request);
      request.mutable_contents()->Clear();
      size = 0;
      return taken;
    };
    for (;;) {
      std::optional<FileNumber> number = TakeToSend(/*wait=*/false);
      if (!number.has_value()) {
        if (!flush()) return;
        number = TakeToSend(/*wait=*/true);
        if (!number.has_value()) return;
      }
      const FileInTree file = files.At(*number);
      const FileReader::Expected expected = ExpectedOf(*number, files);
      bool is_taken = true;
      const auto add = [&](absl::string_view piece, bool is_last) {
        sync::v1::SyncContent& content = *request.mutable_contents()->add_contents();
        content.set_directory(number->directory);
        content.set_file(number->file);
        content.set_data(piece.data(), piece.size());
        content.set_last(is_last);
        size += piece.size() + 16;
        if (size >= kMessageBytes || request.contents().contents_size() >= kContentsPerMessage)
          is_taken = flush();
        absl::MutexLock lock(&mutex_);
        progress_.bytes_sent += static_cast<int64_t>(piece.size());
        if (is_last) ++progress_.files_sent;
        return is_taken && !stop_.stop_requested();
      };
      const bool is_sent = reader.Send(*tree_.root, file, expected, add);
      if (!is_taken || stop_.stop_requested()) return;
      if (is_sent) continue;
      sync::v1::SyncContent& content = *request.mutable_contents()->add_contents();
      content.set_directory(number->directory);
      content.set_file(number->file);
      content.set_changed(true);
      size += 16;
      if (!flush() || !HashAnew(*number, file, files, reader)) return;
    }
  }

  FileReader::Expected ExpectedOf(const FileNumber& number, const TreeFiles& files) {
    absl::MutexLock lock(&mutex_);
    FileReader::Expected expected{.row = files.RowAt(number), .sha256 = ""};
    const auto found = said_.find(KeyOf(number));
    if (found == said_.end()) return expected;
    expected.row.size = found->second.size;
    expected.sha256.assign(found->second.sha256.data(), kDigestBytes);
    return expected;
  }

  // A file that changed since it was hashed.
  bool HashAnew(const FileNumber& number, const FileInTree& file, const TreeFiles& files,
                FileReader& reader) {
    HashedFile hashed;
    if (++void_contents_[KeyOf(number)] > kMaxVoidContents) {
      hashed.outcome = HashedFile::Outcome::kUnsettled;
    } else {
      hashed = reader.Hash(*tree_.root, file, stop_.get_token());
      if (hashed.outcome == HashedFile::Outcome::kStopped) return false;
    }
    SyncRequest request;
    AddHashed(number, file, files.RowAt(number), hashed, *request.mutable_hashed());
    absl::ReleasableMutexLock lock(&mutex_);
    told_changes_ = true;
    lock.Release();
    return Write(request);
  }

  bool Write(const SyncRequest& request) {
    absl::MutexLock lock(&write_mutex_);
    return stream_->Write(request);
  }

  bool HasResult() {
    absl::MutexLock lock(&mutex_);
    return outcome_.has_value();
  }
  void SetResult(sync::v1::SyncResult& result) {
    absl::MutexLock lock(&mutex_);
    SetResultLocked(result);
  }
  void SetResultLocked(sync::v1::SyncResult& result) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    outcome_ = SyncOutcome{.result = std::move(result),
                           .omissions = std::move(omissions_),
                           .told_changes = told_changes_};
  }

  // What was said of a file's content in this conversation.
  struct Said {
    int64_t size = 0;
    std::array<char, kDigestBytes> sha256 = {};
  };

  const Tree& tree_;
  OutgoingCall call_;
  const std::unique_ptr<grpc::ClientReaderWriterInterface<SyncRequest, SyncResponse>> stream_;
  std::stop_source stop_;
  absl::Mutex write_mutex_;  // held while a message is written: gRPC takes one at a time
  std::map<uint64_t, int> void_contents_;  // of the thread that sends

  absl::Mutex mutex_;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;  // nothing more is asked for
  std::deque<FileNumber> to_hash_ ABSL_GUARDED_BY(mutex_);
  std::deque<FileNumber> to_send_ ABSL_GUARDED_BY(mutex_);
  std::unordered_map<uint64_t, Said> said_ ABSL_GUARDED_BY(mutex_);
  SyncProgress progress_ ABSL_GUARDED_BY(mutex_);
  Omissions omissions_ ABSL_GUARDED_BY(mutex_);
  bool told_changes_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status error_ ABSL_GUARDED_BY(mutex_);
  std::optional<SyncOutcome> outcome_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::StatusOr<SyncOutcome> HoldSyncConversation(
    sync::v1::SyncService::StubInterface& service, const Tree& tree, const SyncTarget& target,
    const CallContext& context, absl::FunctionRef<void(const SyncProgress&)> report) {
  return Conversation(service, tree, context).Hold(target, report);
}

}  // namespace contree::gateway
