#include "sync-service/sync_session.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "common/files/sha256.h"
#include "common/status/status_macros.h"
#include "common/telemetry/metrics.h"
#include "sync-service/sync_checks.h"

namespace contree {
namespace {

constexpr size_t kSha256Bytes = 32;
// The platform takes less than 128 MiB.
constexpr int64_t kMaxFileBytes = (128 << 20) - 1;
constexpr int kFilesPerMessage = 1000;
constexpr size_t kBlobsPerWrite = 500;
constexpr int kMaxChanges = 10;

absl::Status OutOfOrder(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("the message out of order: ", what));
}

void AddFile(FileRef ref, sync::v1::SyncFiles& files) {
  files.add_directories(ref.directory);
  files.add_files(ref.file);
}

}  // namespace

SyncSession::SyncSession(const SyncParts& parts, const CallContext& context, Send send, Post post)
    : parts_(parts),
      context_(context),
      send_(std::move(send)),
      started_(parts.clock->Now()),
      intake_(parts.platform, parts.timers, context,
              {.post =
                   [this, post = std::move(post)](std::function<absl::Status()> step) {
                     post([this, step = std::move(step)]() -> absl::Status {
                       RETURN_IF_ERROR(step());
                       FlushAsked();
                       return absl::OkStatus();
                     });
                   },
               .ask = [this](FileRef ref) { asked_.push_back(ref); },
               .stored =
                   [this](KnownBlob blob, const std::vector<FileRef>& files) {
                     for (const FileRef ref : files) SetDone(ref);
                     new_blobs_.push_back(std::move(blob));
                     if (new_blobs_.size() >= kBlobsPerWrite) RETURN_IF_ERROR(FlushBlobs());
                     return FinishIfComplete();
                   },
               .changed = [this](FileRef ref) -> absl::Status {
                 tree_.state(ref) = FileState::kAwaitsHash;
                 if (++changes_[ref] <= kMaxChanges) return absl::OkStatus();
                 return absl::AbortedError(
                     absl::StrCat("'", tree_.PathOf(ref), "' changed ", kMaxChanges,
                                  " times while it was read: sync again when it has settled, or "
                                  "leave it out with exclude"));
               },
               .path_of = [this](FileRef ref) { return tree_.PathOf(ref); }}) {}

bool SyncSession::CanTake() const { return phase_ != Phase::kDone && intake_.HasRoom(); }

absl::Status SyncSession::Take(sync::v1::SyncRequest& request) {
  absl::Status status;
  switch (request.message_case()) {
    case sync::v1::SyncRequest::kBegin:
      status = Begin(request.begin());
      break;
    case sync::v1::SyncRequest::kDirectories:
      status = TakeDirectories(request.directories());
      break;
    case sync::v1::SyncRequest::kListings:
      status = TakeListings(request.listings());
      break;
    case sync::v1::SyncRequest::kHashed:
      status = TakeHashes(request.hashed());
      break;
    case sync::v1::SyncRequest::kContents:
      status = TakeContents(*request.mutable_contents());
      break;
    default:
      status = absl::InvalidArgumentError("a message of the sync holds nothing");
  }
  RETURN_IF_ERROR(status);
  FlushAsked();
  return absl::OkStatus();
}

absl::Status SyncSession::Begin(const sync::v1::SyncBegin& begin) {
  if (phase_ != Phase::kBegin) return OutOfOrder("a sync begins once");
  RETURN_IF_ERROR(CheckBegin(begin));
  begin_ = begin;
  ASSIGN_OR_RETURN(std::string platform, parts_.platform->FindPlatform(context_));
  scope_ = {.tenant = context_.tenant, .platform = std::move(platform)};
  ASSIGN_OR_RETURN(source_, parts_.cache->OpenSource(scope_, begin_.source(), begin_.view(),
                                                     parts_.clock->Now()));
  ASSIGN_OR_RETURN(const std::optional<KnownTree> tree,
                   parts_.cache->FindTree(source_, begin_.destination()));
  if (tree.has_value() && tree->digest == begin_.tree_digest() && tree->epoch == source_.epoch &&
      (!tree->has_young || begin_.is_watched())) {
    ASSIGN_OR_RETURN(const std::optional<StateSummary> state,
                     parts_.states->FindSummary(scope_, tree->state, parts_.clock->Now()));
    if (state.has_value()) {
      SendResult(tree->state, *state, /*deleted=*/0);
      return absl::OkStatus();
    }
  }
  phase_ = Phase::kDirectories;
  sync::v1::SyncResponse response;
  response.mutable_need_directories();
  send_(std::move(response));
  return absl::OkStatus();
}

absl::Status SyncSession::TakeDirectories(const sync::v1::SyncDirectories& message) {
  if (phase_ != Phase::kDirectories) return OutOfOrder("directories were not asked for");
  RETURN_IF_ERROR(tree_.AddDirectories(message));
  if (!message.last()) return absl::OkStatus();
  RETURN_IF_ERROR(tree_.CheckDigest(begin_.tree_digest()));
  return CompareDirectories();
}

absl::Status SyncSession::CompareDirectories() {
  ASSIGN_OR_RETURN(std::vector<KnownDirectory> known, parts_.cache->ListDirectories(source_));
  std::vector<SyncTree::Directory>& directories = tree_.directories();
  needs_listing_.assign(directories.size(), false);
  sync::v1::SyncResponse response;
  sync::v1::NeedListings& needed = *response.mutable_need_listings();
  size_t k = 0;
  for (uint32_t d = 0; d < directories.size(); ++d) {
    SyncTree::Directory& directory = directories[d];
    for (; k < known.size() && known[k].path < directory.path; ++k)
      gone_.push_back(std::move(known[k].path));
    bool is_same = false;
    if (k < known.size() && known[k].path == directory.path) {
      is_same = known[k].digest == directory.digest;
      directory.known = std::move(known[k++]);
      if (is_same && (directory.known.epoch != source_.epoch || directory.known.has_young)) {
        ASSIGN_OR_RETURN(is_same, Reconsider(d));
      }
    }
    if (is_same) continue;
    needs_listing_[d] = true;
    needed.add_directories(d);
  }
  for (; k < known.size(); ++k) gone_.push_back(std::move(known[k].path));
  needed_listings_ = static_cast<size_t>(needed.directories_size());
  phase_ = Phase::kListings;
  send_(std::move(response));
  return absl::OkStatus();
}

absl::StatusOr<bool> SyncSession::Reconsider(uint32_t number) {
  const SyncTree::Directory& directory = tree_.directories()[number];
  ASSIGN_OR_RETURN(const std::vector<KnownFiles> known,
                   parts_.cache->FindFiles(source_, directory.path));
  for (const KnownFiles& files : known) {
    if (files.digest != directory.digest) continue;
    RETURN_IF_ERROR(Compare(number, files.listing, known));
    return true;
  }
  return false;
}

absl::Status SyncSession::TakeListings(const sync::v1::SyncListings& message) {
  if (phase_ != Phase::kListings) return OutOfOrder("listings were not asked for");
  if (message.directories_size() != message.listings_size())
    return absl::InvalidArgumentError("listings do not say of which directories they are");
  for (int i = 0; i < message.listings_size(); ++i) {
    const uint32_t directory = message.directories(i);
    if (directory >= needs_listing_.size() || !needs_listing_[directory]) {
      return absl::InvalidArgumentError(
          absl::StrCat("the listing of directory number ", directory, " was not asked for"));
    }
    if (Sha256Bytes(message.listings(i)) != tree_.directories()[directory].digest) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the listing of '", tree_.directories()[directory].path, "' has not its digest"));
    }
    needs_listing_[directory] = false;
    --needed_listings_;
    ASSIGN_OR_RETURN(const std::vector<KnownFiles> known,
                     parts_.cache->FindFiles(source_, tree_.directories()[directory].path));
    RETURN_IF_ERROR(Compare(directory, message.listings(i), known));
  }
  if (!message.last()) return absl::OkStatus();
  if (needed_listings_ > 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(needed_listings_, " listings that were asked for did not come"));
  }
  return AskForHashes();
}

absl::Status SyncSession::Compare(uint32_t directory, absl::string_view listing,
                                  absl::Span<const KnownFiles> all_known) {
  RETURN_IF_ERROR(tree_.SetListing(directory, listing));
  const std::string& path = tree_.directories()[directory].path;
  SyncTree::Files& files = *tree_.directories()[directory].files;
  for (const KnownFiles& known : all_known) {
    const auto known_listing = CheckedListing::Parse(known.listing, path);
    // What cannot be read of a cache is hashed again.
    if (!known_listing.ok() || known.sha256s.size() != kSha256Bytes * known_listing->size())
      continue;
    files.listing.ForEachUnchanged(*known_listing, [&](size_t index, size_t known_index) {
      if (files.states[index] == FileState::kDone) return;
      const FileRef ref = {.directory = directory, .file = static_cast<uint32_t>(index)};
      tree_.SetSha256(
          ref, absl::string_view(known.sha256s).substr(kSha256Bytes * known_index, kSha256Bytes));
      // The contents of another epoch may have gone since.
      files.states[index] = known.epoch == source_.epoch ? FileState::kDone : FileState::kHasHash;
    });
  }
  for (FileState& state : files.states) {
    if (state == FileState::kUnknown) state = FileState::kAwaitsHash;
    if (state != FileState::kDone) ++pending_;
  }
  return absl::OkStatus();
}

absl::Status SyncSession::CheckSize(FileRef ref) const {
  if (tree_.size(ref) <= kMaxFileBytes) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("'", tree_.PathOf(ref), "' has ", tree_.size(ref),
                   " bytes, and the platform takes files of at most ", kMaxFileBytes,
                   ": leave it out with exclude, or fetch it inside the sandbox"));
}

absl::Status SyncSession::AskForHashes() {
  std::vector<FileRef> to_hash;
  tree_.ForEach(FileState::kAwaitsHash, [&](FileRef ref) { to_hash.push_back(ref); });
  for (const FileRef ref : to_hash) RETURN_IF_ERROR(CheckSize(ref));
  hashed_files_ += static_cast<int64_t>(to_hash.size());
  phase_ = Phase::kFiles;
  size_t next = 0;
  do {
    sync::v1::SyncResponse response;
    sync::v1::NeedHash& needed = *response.mutable_need_hash();
    for (int i = 0; i < kFilesPerMessage && next < to_hash.size(); ++i)
      AddFile(to_hash[next++], *needed.mutable_files());
    needed.set_last(next == to_hash.size());
    send_(std::move(response));
  } while (next < to_hash.size());

  std::vector<FileRef> to_find;
  tree_.ForEach(FileState::kHasHash, [&](FileRef ref) { to_find.push_back(ref); });
  RETURN_IF_ERROR(Resolve(to_find));
  return FinishIfComplete();
}

absl::Status SyncSession::TakeHashes(const sync::v1::SyncHashes& message) {
  if (phase_ != Phase::kFiles) return OutOfOrder("hashes were not asked for");
  const sync::v1::SyncFiles& files = message.files();
  const int count = files.files_size();
  if (files.directories_size() != count ||
      message.sha256s().size() != kSha256Bytes * static_cast<size_t>(count)) {
    return absl::InvalidArgumentError("the columns of hashes have different lengths");
  }
  const std::string none(kSha256Bytes, '\0');
  std::vector<FileRef> hashed;
  hashed.reserve(static_cast<size_t>(count));
  absl::flat_hash_map<uint32_t, const sync::v1::SyncChangedFile*> changed;
  for (const sync::v1::SyncChangedFile& file : message.changed()) changed[file.position()] = &file;
  for (int i = 0; i < count; ++i) {
    const FileRef ref = {.directory = files.directories(i), .file = files.files(i)};
    RETURN_IF_ERROR(tree_.CheckFile(ref));
    if (tree_.state(ref) != FileState::kAwaitsHash) {
      return absl::InvalidArgumentError(
          absl::StrCat("the hash of '", tree_.PathOf(ref), "' was not asked for"));
    }
    if (const auto found = changed.find(static_cast<uint32_t>(i)); found != changed.end()) {
      RETURN_IF_ERROR(TakeChanged(ref, *found->second));
      if (tree_.state(ref) == FileState::kGone) continue;
    }
    const absl::string_view sha256 =
        absl::string_view(message.sha256s())
            .substr(kSha256Bytes * static_cast<size_t>(i), kSha256Bytes);
    if (sha256 == none) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", tree_.PathOf(ref), "' has no hash and is not said to be gone"));
    }
    tree_.SetSha256(ref, sha256);
    tree_.state(ref) = FileState::kHasHash;
    hashed.push_back(ref);
  }
  RETURN_IF_ERROR(Resolve(hashed));
  return FinishIfComplete();
}

absl::Status SyncSession::TakeChanged(FileRef ref, const sync::v1::SyncChangedFile& changed) {
  SyncTree::Files& files = tree_.files_of(ref);
  files.are_as_listed = false;
  if (changed.gone()) {
    tree_.state(ref) = FileState::kGone;
    --pending_;
    return absl::OkStatus();
  }
  if (changed.size() < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("the size of '", tree_.PathOf(ref), "' is negative"));
  }
  files.listing.Replace(ref.file,
                        {.mode = changed.mode(),
                         .size = changed.size(),
                         .mtime_ns = changed.mtime_ns(),
                         .ctime_ns = changed.ctime_ns(),
                         .inode = changed.inode()},
                        changed.young());
  return CheckSize(ref);
}

absl::Status SyncSession::TakeContents(sync::v1::SyncContents& message) {
  if (phase_ != Phase::kFiles) return OutOfOrder("contents were not asked for");
  for (sync::v1::SyncContent& content : *message.mutable_contents())
    RETURN_IF_ERROR(intake_.Take(content));
  return intake_.BeginUploads();
}

absl::Status SyncSession::Resolve(absl::Span<const FileRef> refs) {
  RETURN_IF_ERROR(FlushBlobs());
  absl::flat_hash_map<std::string, std::vector<FileRef>> by_sha256;
  std::vector<std::string> sha256s;
  for (const FileRef ref : refs) {
    std::string sha256 = tree_.sha256(ref);
    std::vector<FileRef>& same = by_sha256[sha256];
    if (same.empty()) sha256s.push_back(std::move(sha256));
    same.push_back(ref);
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> known, parts_.cache->FindBlobs(scope_, sha256s));
  std::vector<std::string> unknown;
  for (size_t i = 0; i < sha256s.size(); ++i) {
    if (known[i].empty()) {
      if (!intake_.IsWanted(sha256s[i])) unknown.push_back(sha256s[i]);
    } else {
      for (const FileRef ref : by_sha256[sha256s[i]]) SetDone(ref);
      by_sha256.erase(sha256s[i]);
    }
  }
  ASSIGN_OR_RETURN(const std::vector<KnownBlob> found, parts_.platform->Find(unknown, context_));
  RETURN_IF_ERROR(parts_.cache->PutBlobs(scope_, found, parts_.clock->Now()));
  for (const KnownBlob& blob : found) {
    for (const FileRef ref : by_sha256[blob.sha256]) SetDone(ref);
    by_sha256.erase(blob.sha256);
  }
  // In the walker's order, so that it reads its disk in order.
  for (const std::string& sha256 : sha256s) {
    const auto lacking = by_sha256.find(sha256);
    if (lacking == by_sha256.end()) continue;
    for (const FileRef ref : lacking->second) {
      tree_.state(ref) = FileState::kAwaitsBlob;
      intake_.Want(sha256, ref, tree_.size(ref));
    }
  }
  return absl::OkStatus();
}

void SyncSession::SetDone(FileRef ref) {
  tree_.state(ref) = FileState::kDone;
  --pending_;
}

absl::Status SyncSession::FlushBlobs() {
  const std::vector<KnownBlob> blobs = std::exchange(new_blobs_, {});
  return parts_.cache->PutBlobs(scope_, blobs, parts_.clock->Now());
}

void SyncSession::FlushAsked() {
  for (size_t next = 0; next < asked_.size();) {
    sync::v1::SyncResponse response;
    for (int i = 0; i < kFilesPerMessage && next < asked_.size(); ++i)
      AddFile(asked_[next++], *response.mutable_need_content());
    send_(std::move(response));
  }
  asked_.clear();
}

absl::Status SyncSession::FinishIfComplete() {
  FlushAsked();
  return phase_ == Phase::kFiles && pending_ == 0 ? Finish() : absl::OkStatus();
}

absl::Status SyncSession::Finish() {
  RETURN_IF_ERROR(FlushBlobs());
  const absl::Time now = parts_.clock->Now();
  SyncCache::Findings findings;
  findings.destination = begin_.destination();
  findings.gone = std::move(gone_);
  DirectoryState state = {.destination = begin_.destination(), .directories = {}};
  std::vector<size_t> numbers;  // of the state's directories here
  bool is_as_listed = true;
  for (size_t d = 0; d < tree_.directories().size(); ++d) {
    SyncTree::Directory& directory = tree_.directories()[d];
    if (directory.files != nullptr) {
      directory.known = SyncTree::Learned(directory, source_.epoch);
      is_as_listed = is_as_listed && directory.files->are_as_listed;
    }
    const KnownDirectory& known = directory.known;
    findings.tree.has_young = findings.tree.has_young || known.has_young;
    if (known.files == 0) continue;
    state.files += known.files;
    state.bytes += known.bytes;
    state.directories.push_back({.path = directory.path, .content = known.content});
    numbers.push_back(d);
  }
  const std::string id = DirectoryStateId(state.destination, state.directories);
  RETURN_IF_ERROR(parts_.states->Put(
      scope_, id, state, [&](size_t index) { return ContentOf(numbers[index]); }, now));
  ASSIGN_OR_RETURN(const int64_t deleted, CountDeleted(id, state));

  for (SyncTree::Directory& directory : tree_.directories()) {
    if (directory.files == nullptr) continue;
    findings.directories.emplace_back(std::move(directory.known),
                                      SyncTree::LearnedFiles(*directory.files));
    directory.files.reset();
  }
  findings.tree.digest = is_as_listed ? begin_.tree_digest() : "";
  findings.tree.state = id;
  findings.tree.epoch = source_.epoch;
  RETURN_IF_ERROR(parts_.cache->Store(source_, findings, now));
  SendResult(id, {.files = state.files, .bytes = state.bytes}, deleted);
  return absl::OkStatus();
}

absl::StatusOr<DirectoryContent> SyncSession::ContentOf(size_t number) {
  const SyncTree::Directory& directory = tree_.directories()[number];
  if (directory.files != nullptr) return SyncTree::ContentOf(*directory.files);
  // It is as it was, but no state of before is left that has it.
  ASSIGN_OR_RETURN(const std::vector<KnownFiles> known,
                   parts_.cache->FindFiles(source_, directory.path));
  DirectoryContent content;
  if (!known.empty()) {
    ASSIGN_OR_RETURN(const CheckedListing listing,
                     CheckedListing::Parse(known.front().listing, directory.path));
    for (size_t i = 0; i < listing.size(); ++i) {
      content.Add(listing.name(i), listing.stat(i).mode,
                  absl::string_view(known.front().sha256s).substr(kSha256Bytes * i, kSha256Bytes));
    }
  }
  if (content.Digest() == directory.known.content) return content;
  // Another sync of the same tree has written meanwhile.
  return absl::AbortedError(absl::StrCat("'", directory.path,
                                         "' was synced at the same time and has changed: sync "
                                         "again"));
}

absl::StatusOr<int64_t> SyncSession::CountDeleted(absl::string_view id,
                                                  const DirectoryState& state) {
  ASSIGN_OR_RETURN(const std::optional<std::string> last,
                   parts_.cache->FindLastState(source_, state.destination));
  if (!last.has_value() || *last == id) return 0;
  ASSIGN_OR_RETURN(const std::optional<DirectoryState> before,
                   parts_.states->Find(scope_, *last, parts_.clock->Now()));
  if (!before.has_value()) return 0;
  // Of each directory that differs the content of before, and that of now behind it.
  const std::string nothing;
  std::vector<std::string> digests;
  size_t n = 0;
  for (const StateDirectory& directory : before->directories) {
    while (n < state.directories.size() && state.directories[n].path < directory.path) ++n;
    const bool is_there =
        n < state.directories.size() && state.directories[n].path == directory.path;
    if (is_there && state.directories[n].content == directory.content) continue;
    digests.push_back(directory.content);
    digests.push_back(is_there ? state.directories[n].content : nothing);
  }
  int64_t deleted = 0;
  std::vector<DirectoryContent> contents(digests.size());
  RETURN_IF_ERROR(parts_.states->ReadContents(scope_, digests,
                                              [&](size_t index, const DirectoryContent& content) {
                                                contents[index] = content;
                                                return absl::OkStatus();
                                              }));
  for (size_t i = 0; i < contents.size(); i += 2)
    deleted += CountGone(contents[i], contents[i + 1]);
  return deleted;
}

void SyncSession::SendResult(absl::string_view id, const StateSummary& summary, int64_t deleted) {
  sync::v1::SyncResponse response;
  sync::v1::SyncResult& result = *response.mutable_result();
  result.set_directory_state_id(std::string(id));
  result.set_files(summary.files);
  result.set_bytes(summary.bytes);
  result.set_uploaded_files(intake_.uploaded_files());
  result.set_uploaded_bytes(intake_.uploaded_bytes());
  result.set_reused_files(summary.files - intake_.uploaded_files());
  result.set_deleted_files(deleted);
  const absl::Duration took = parts_.clock->Now() - started_;
  result.mutable_duration()->set_seconds(absl::ToInt64Seconds(took));
  result.mutable_duration()->set_nanos(static_cast<int32_t>(
      absl::ToInt64Nanoseconds(took - absl::Seconds(absl::ToInt64Seconds(took)))));
  static auto& synced =
      *new CounterMetric("contree_synced_files_total",
                         "Files of syncs that ended, by what was done for each.", {"outcome"});
  static auto& hits =
      *new CounterMetric("contree_cache_hits_total", "What was asked for and there.", {"cache"});
  static auto& misses = *new CounterMetric("contree_cache_misses_total",
                                           "What was asked for and not there.", {"cache"});
  // By their stats: what is not hashed again.
  hits.Add({"file_hashes"},
           static_cast<double>(std::max<int64_t>(0, summary.files - hashed_files_)));
  misses.Add({"file_hashes"}, static_cast<double>(hashed_files_));
  synced.Add({"uploaded"}, static_cast<double>(intake_.uploaded_files()));
  synced.Add({"reused"}, static_cast<double>(summary.files - intake_.uploaded_files()));
  phase_ = Phase::kDone;
  send_(std::move(response));
}

}  // namespace contree
