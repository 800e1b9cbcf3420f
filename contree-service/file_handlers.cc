#include "contree-service/file_handlers.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "common/status/status_macros.h"
#include "common/telemetry/metrics.h"
#include "contree-service/api/contree_api.h"
#include "contree-service/request_checks.h"

namespace contree {
namespace {

constexpr int kEntriesPerMessage = 1000;
constexpr int kMaxFound = 1000;
// What arrives in small pieces travels on in larger ones.
constexpr size_t kPieceBytes = 256 << 10;
constexpr size_t kMaxListingsBytes = 32 << 20;
// Only files of one piece are kept.
constexpr size_t kMaxFilesBytes = 64 << 20;
// How many contents one call looks for or uploads at once, and all calls together beside their own
// threads.
constexpr size_t kSearchersPerCall = 16;
constexpr size_t kUploadersPerCall = 8;
constexpr size_t kMaxHelpers = 64;
constexpr int kMaxUploads = 100;
// Indexes of uploads that are kept: of so many tenants.
constexpr size_t kMaxIndexes = 256;

std::string CacheKey(const ContreeApi& api, const CallContext& context, absl::string_view uuid,
                     absl::string_view path) {
  return absl::StrJoin(
      {absl::string_view(context.tenant), absl::string_view(api.platform()), uuid, path},
      absl::string_view("\0", 1));
}

void CountCache(absl::string_view cache, bool is_hit, double by = 1) {
  static auto& hits =
      *new CounterMetric("contree_cache_hits_total", "What was asked for and there.", {"cache"});
  static auto& misses = *new CounterMetric("contree_cache_misses_total",
                                           "What was asked for and not there.", {"cache"});
  (is_hit ? hits : misses).Add({cache}, by);
}

absl::Status CheckStored(const v1::StoredFile& file, absl::string_view said) {
  if (said.empty() || file.sha256() == said) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("the platform stored data with SHA-256 ", file.sha256(),
                                          ", not ", said, " as was said; upload it again"));
}

// Makes messages of kPieceBytes out of pieces of any size. `Response` has `data`.
template <typename Response>
class PieceCollector {
 public:
  explicit PieceCollector(absl::FunctionRef<absl::Status(const Response&, bool is_last)> sink)
      : sink_(sink) {}

  absl::Status Add(absl::string_view bytes) {
    std::string& piece = *rest_.mutable_data();
    while (!bytes.empty()) {
      if (piece.size() == kPieceBytes) {
        RETURN_IF_ERROR(sink_(rest_, /*is_last=*/false));
        piece.clear();
        is_first_ = false;
      }
      const size_t taken = std::min(bytes.size(), kPieceBytes - piece.size());
      piece.append(bytes.data(), taken);
      bytes.remove_prefix(taken);
    }
    return absl::OkStatus();
  }
  absl::Status Finish() {
    return rest_.data().empty() ? absl::OkStatus() : sink_(rest_, /*is_last=*/true);
  }
  // All of it, where it is one piece; else nullptr.
  const Response* whole() const { return is_first_ ? &rest_ : nullptr; }

 private:
  const absl::FunctionRef<absl::Status(const Response&, bool is_last)> sink_;
  Response rest_;
  bool is_first_ = true;
};

// Looks for contents: in the list of uploads, and what that leaves open from several threads, each
// taking the next one.
class FileSearch {
 public:
  FileSearch(const ContreeApi& api, const v1::FindFilesRequest& request, const CallContext& context)
      : api_(api),
        request_(request),
        context_(context),
        found_(static_cast<size_t>(request.sha256_size())) {}

  // Before anybody works.
  void LookIn(UploadIndex& index) {
    absl::MutexLock lock(&mutex_);
    index.Update(
        request_.sha256_size(),
        [this](int offset, absl::string_view since) {
          return api_.ListUploads(UploadIndex::kUploadsPerPage, offset, since, "", context_);
        },
        absl::Now());
    for (int i = 0; i < request_.sha256_size(); ++i) {
      const v1::StoredFile* file = index.Find(request_.sha256(i));
      if (file != nullptr) found_[static_cast<size_t>(i)] = *file;
    }
    if (index.is_whole()) next_ = request_.sha256_size();
  }

  void Work() {
    while (true) {
      int index = 0;
      {
        absl::MutexLock lock(&mutex_);
        while (next_ < request_.sha256_size() && found_[static_cast<size_t>(next_)].has_value())
          ++next_;
        if (next_ == request_.sha256_size() || !status_.ok()) return;
        index = next_++;
      }
      auto file = api_.FindFile(request_.sha256(index), context_);
      absl::MutexLock lock(&mutex_);
      if (file.ok()) {
        found_[static_cast<size_t>(index)] = *std::move(file);
      } else {
        status_.Update(file.status());
      }
    }
  }

  // Once nobody works any more.
  absl::StatusOr<v1::FindFilesResponse> TakeFound() {
    absl::MutexLock lock(&mutex_);
    RETURN_IF_ERROR(status_);
    v1::FindFilesResponse response;
    for (std::optional<v1::StoredFile>& file : found_) {
      if (file.has_value()) *response.add_files() = *std::move(file);
    }
    return response;
  }

 private:
  const ContreeApi& api_;
  const v1::FindFilesRequest& request_;
  const CallContext& context_;
  absl::Mutex mutex_;
  int next_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::optional<v1::StoredFile>> found_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

FileHandlers::FileHandlers(ApiDirectory* apis, ImageResolver* resolver, TenantLimits* limits)
    : apis_(apis),
      resolver_(resolver),
      limits_(limits),
      listings_(kMaxListingsBytes),
      files_(kMaxFilesBytes),
      helpers_(kMaxHelpers) {
  for (const char* cache : {"listings", "files"}) {
    for (const bool is_hit : {true, false}) CountCache(cache, is_hit, 0);
  }
}

absl::Status FileHandlers::ListFiles(
    const v1::ListFilesRequest& request, const CallContext& context,
    absl::FunctionRef<absl::Status(const v1::ListFilesResponse&, bool is_last)> sink) {
  ASSIGN_OR_RETURN(const std::string path, CheckPath(request.path()));
  ASSIGN_OR_RETURN(const ContreeApi api, apis_->ApiFor(context));
  ASSIGN_OR_RETURN(const std::string uuid, resolver_->Resolve(api, request.image(), context));
  const std::string key = CacheKey(api, context, uuid, path);
  auto listing = listings_.Find(key);
  CountCache("listings", listing != nullptr);
  if (listing == nullptr) {
    ASSIGN_OR_RETURN(std::vector<v1::FileEntry> entries, api.ListDirectory(uuid, path, context));
    std::vector<v1::ListFilesResponse> messages;
    for (v1::FileEntry& entry : entries) {
      if (messages.empty() || messages.back().entries_size() == kEntriesPerMessage)
        messages.emplace_back();
      *messages.back().add_entries() = std::move(entry);
    }
    size_t bytes = 0;
    for (const v1::ListFilesResponse& message : messages) bytes += message.SpaceUsedLong();
    listing = std::make_shared<const std::vector<v1::ListFilesResponse>>(std::move(messages));
    listings_.Put(key, listing, bytes);
  }
  for (const v1::ListFilesResponse& message : *listing)
    RETURN_IF_ERROR(sink(message, &message == &listing->back()));
  return absl::OkStatus();
}

absl::Status FileHandlers::ReadFile(
    const v1::ReadFileRequest& request, const CallContext& context,
    absl::FunctionRef<absl::Status(const v1::ReadFileResponse&, bool is_last)> sink) {
  ASSIGN_OR_RETURN(const std::string path, CheckPath(request.path()));
  ASSIGN_OR_RETURN(const ContreeApi api, apis_->ApiFor(context));
  ASSIGN_OR_RETURN(const std::string uuid, resolver_->Resolve(api, request.image(), context));
  const std::string key = CacheKey(api, context, uuid, path);
  const auto known = files_.Find(key);
  CountCache("files", known != nullptr);
  if (known != nullptr)
    return known->data().empty() ? absl::OkStatus() : sink(*known, /*is_last=*/true);
  PieceCollector<v1::ReadFileResponse> pieces(sink);
  RETURN_IF_ERROR(api.DownloadFile(uuid, path, context,
                                   [&](absl::string_view bytes) { return pieces.Add(bytes); }));
  if (const v1::ReadFileResponse* whole = pieces.whole(); whole != nullptr) {
    // A copy, because the collector's room may be larger than what is in it.
    auto kept = std::make_shared<v1::ReadFileResponse>();
    kept->set_data(whole->data());
    files_.Put(key, std::move(kept), sizeof(v1::ReadFileResponse) + whole->data().size());
  }
  return pieces.Finish();
}

absl::Status FileHandlers::ReadArchive(
    const v1::ReadArchiveRequest& request, const CallContext& context,
    absl::FunctionRef<absl::Status(const v1::ReadArchiveResponse&, bool is_last)> sink) {
  ASSIGN_OR_RETURN(const std::string path, CheckPath(request.path()));
  ASSIGN_OR_RETURN(const ContreeApi api, apis_->ApiFor(context));
  ASSIGN_OR_RETURN(const std::string uuid, resolver_->Resolve(api, request.image(), context));
  PieceCollector<v1::ReadArchiveResponse> pieces(sink);
  RETURN_IF_ERROR(api.DownloadArchive(uuid, path, context,
                                      [&](absl::string_view bytes) { return pieces.Add(bytes); }));
  return pieces.Finish();
}

absl::StatusOr<v1::GrepResponse> FileHandlers::Grep(const v1::GrepRequest& request,
                                                    const CallContext& context) {
  RETURN_IF_ERROR(CheckGrep(request));
  ASSIGN_OR_RETURN(const ContreeApi api, apis_->ApiFor(context));
  ASSIGN_OR_RETURN(const std::string uuid, resolver_->Resolve(api, request.image(), context));
  return api.Grep(uuid, request, context);
}

void FileHandlers::WorkTogether(size_t threads, const std::function<void()>& work) {
  std::vector<std::shared_ptr<absl::Notification>> ended;
  for (size_t i = 1; i < threads; ++i) {
    auto end = std::make_shared<absl::Notification>();
    const absl::Status started = helpers_.Run([&work, end] {
      work();
      end->Notify();
    });
    if (!started.ok()) break;
    ended.push_back(std::move(end));
  }
  work();
  for (const auto& end : ended) end->WaitForNotification();
}

std::shared_ptr<FileHandlers::TenantUploads> FileHandlers::UploadsOf(const ContreeApi& api,
                                                                     const CallContext& context) {
  const std::string key =
      absl::StrJoin({absl::string_view(context.tenant), absl::string_view(api.platform())},
                    absl::string_view("\0", 1));
  absl::MutexLock lock(&uploads_mutex_);
  if (uploads_.size() >= kMaxIndexes && !uploads_.contains(key)) uploads_.clear();
  std::shared_ptr<TenantUploads>& uploads = uploads_[key];
  if (uploads == nullptr) uploads = std::make_shared<TenantUploads>();
  return uploads;
}

absl::StatusOr<v1::FindFilesResponse> FileHandlers::FindFiles(const v1::FindFilesRequest& request,
                                                              const CallContext& context) {
  if (request.sha256_size() > kMaxFound) {
    return absl::InvalidArgumentError(
        absl::StrCat("sha256 holds ", request.sha256_size(), " hashes: give at most ", kMaxFound));
  }
  for (const std::string& sha256 : request.sha256()) RETURN_IF_ERROR(CheckSha256(sha256));
  ASSIGN_OR_RETURN(const ContreeApi api, apis_->ApiFor(context));
  FileSearch search(api, request, context);
  {
    const std::shared_ptr<TenantUploads> uploads = UploadsOf(api, context);
    absl::MutexLock lock(&uploads->mutex);
    search.LookIn(uploads->index);
  }
  WorkTogether(std::min(kSearchersPerCall, static_cast<size_t>(request.sha256_size())),
               [&search] { search.Work(); });
  ASSIGN_OR_RETURN(v1::FindFilesResponse response, search.TakeFound());
  response.set_platform(std::string(api.platform()));
  return response;
}

absl::StatusOr<v1::UploadFileResponse> FileHandlers::UploadFile(
    const std::function<absl::StatusOr<std::optional<v1::UploadFileRequest>>()>& next,
    const CallContext& context) {
  ASSIGN_OR_RETURN(const std::optional<v1::UploadFileRequest> first, next());
  if (!first.has_value() || !first->has_header()) {
    return absl::InvalidArgumentError("the first message of an upload must be its header");
  }
  const v1::UploadFileHeader& header = first->header();
  if (!header.sha256().empty()) RETURN_IF_ERROR(CheckSha256(header.sha256()));
  if (header.size() < 0) return absl::InvalidArgumentError("size is negative");
  const std::optional<size_t> size =
      header.has_size() ? std::optional<size_t>(static_cast<size_t>(header.size())) : std::nullopt;
  ASSIGN_OR_RETURN(const ContreeApi api, apis_->ApiFor(context));
  // What is said beforehand is taken at once, what is not as it comes: nothing is sent in vain.
  int64_t taken = 0;
  const auto take = [&](int64_t bytes) {
    if (limits_ == nullptr || bytes <= taken) return absl::OkStatus();
    const int64_t more = bytes - taken;
    taken = bytes;
    return limits_->TakeUploadBytes(context.tenant, more);
  };
  RETURN_IF_ERROR(take(header.size()));
  int64_t sent = 0;
  const auto next_piece = [&]() -> absl::StatusOr<std::string> {
    while (true) {
      ASSIGN_OR_RETURN(std::optional<v1::UploadFileRequest> message, next());
      if (!message.has_value()) return std::string();
      if (!message->has_data())
        return absl::InvalidArgumentError("an upload has one header, at its beginning");
      // An empty piece would end the body.
      if (message->data().empty()) continue;
      sent += static_cast<int64_t>(message->data().size());
      RETURN_IF_ERROR(take(sent));
      return std::move(*message->mutable_data());
    }
  };
  v1::UploadFileResponse response;
  ASSIGN_OR_RETURN(*response.mutable_file(), api.UploadFile(size, next_piece, context));
  RETURN_IF_ERROR(CheckStored(response.file(), header.sha256()));
  return response;
}

absl::StatusOr<v1::UploadFilesResponse> FileHandlers::UploadFiles(
    const v1::UploadFilesRequest& request, const CallContext& context) {
  const int count = request.contents_size();
  if (count > kMaxUploads) {
    return absl::InvalidArgumentError(
        absl::StrCat("contents holds ", count, " files: give at most ", kMaxUploads));
  }
  int64_t bytes = 0;
  for (const v1::UploadFilesRequest::Content& content : request.contents()) {
    if (!content.sha256().empty()) RETURN_IF_ERROR(CheckSha256(content.sha256()));
    bytes += static_cast<int64_t>(content.data().size());
  }
  ASSIGN_OR_RETURN(const ContreeApi api, apis_->ApiFor(context));
  if (limits_ != nullptr) RETURN_IF_ERROR(limits_->TakeUploadBytes(context.tenant, bytes));
  const auto upload =
      [&](const v1::UploadFilesRequest::Content& content) -> absl::StatusOr<v1::StoredFile> {
    bool is_sent = content.data().empty();
    ASSIGN_OR_RETURN(v1::StoredFile file,
                     api.UploadFile(
                         content.data().size(),
                         [&]() -> absl::StatusOr<std::string> {
                           return std::exchange(is_sent, true) ? "" : content.data();
                         },
                         context));
    RETURN_IF_ERROR(CheckStored(file, content.sha256()));
    return file;
  };
  v1::UploadFilesResponse response;
  for (int i = 0; i < count; ++i) response.add_outcomes();
  std::atomic<int> next = 0;
  WorkTogether(std::min(kUploadersPerCall, static_cast<size_t>(count)), [&] {
    for (int i = next++; i < count; i = next++) {
      absl::StatusOr<v1::StoredFile> file = upload(request.contents(i));
      v1::UploadFilesResponse::Outcome& outcome = *response.mutable_outcomes(i);
      if (file.ok()) {
        *outcome.mutable_file() = *std::move(file);
      } else {
        outcome.set_code(static_cast<int>(file.status().code()));
        outcome.set_message(std::string(file.status().message()));
      }
    }
  });
  return response;
}

}  // namespace contree
