#include "sync-service/sync_tree.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/files/sha256.h"
#include "common/status/status_macros.h"
#include "sync-service/sync_checks.h"

namespace contree {
namespace {

constexpr size_t kSha256Bytes = 32;
constexpr size_t kMaxDirectories = 500'000;
constexpr size_t kMaxPathBytes = 64 << 20;
constexpr size_t kMaxFiles = 2'000'000;
constexpr size_t kMaxListingBytes = 32 << 20;

absl::Status TooMany(absl::string_view what, size_t most) {
  return absl::InvalidArgumentError(
      absl::StrCat("the tree has more than ", most, " ", what,
                   ": leave some out with exclude, or sync its parts one by one"));
}

bool IsKept(const SyncTree::Files& files, size_t index) {
  return files.states[index] != FileState::kGone;
}

}  // namespace

absl::Status SyncTree::AddDirectories(const sync::v1::SyncDirectories& message) {
  if (message.first() != directories_.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "directories go on with number ", message.first(), ", not with ", directories_.size()));
  }
  if (message.digests().size() != kSha256Bytes * static_cast<size_t>(message.paths_size())) {
    return absl::InvalidArgumentError(absl::StrCat(message.paths_size(), " directories came with ",
                                                   message.digests().size(),
                                                   " bytes of digests: each has 32"));
  }
  if (directories_.size() + static_cast<size_t>(message.paths_size()) > kMaxDirectories)
    return TooMany("directories", kMaxDirectories);
  absl::string_view digests = message.digests();
  for (const std::string& path : message.paths()) {
    RETURN_IF_ERROR(CheckDirectoryPath(path));
    if (!directories_.empty() && directories_.back().path >= path) {
      return absl::InvalidArgumentError(
          absl::StrCat("the directories are not sorted at '", absl::CHexEscape(path), "'"));
    }
    path_bytes_ += path.size();
    if (path_bytes_ > kMaxPathBytes) return TooMany("bytes of directory names", kMaxPathBytes);
    directories_.push_back({.path = path,
                            .digest = std::string(digests.substr(0, kSha256Bytes)),
                            .known = {},
                            .files = nullptr});
    digests.remove_prefix(kSha256Bytes);
  }
  return absl::OkStatus();
}

absl::Status SyncTree::CheckDigest(absl::string_view tree_digest) const {
  Sha256 digest;
  for (const Directory& directory : directories_) {
    digest.Update(directory.path);
    digest.Update(absl::string_view("\0", 1));
    digest.Update(directory.digest);
  }
  if (digest.Finish() == tree_digest) return absl::OkStatus();
  return absl::InvalidArgumentError("the directories are not those of the tree_digest");
}

absl::Status SyncTree::SetListing(uint32_t number, absl::string_view listing) {
  Directory& directory = directories_[number];
  if (listing.size() > kMaxListingBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the listing of '", absl::CHexEscape(directory.path), "' has ", listing.size(),
        " bytes: at most ", kMaxListingBytes, " are taken; leave files out with exclude"));
  }
  ASSIGN_OR_RETURN(CheckedListing checked, CheckedListing::Parse(listing, directory.path));
  const size_t count = checked.size();
  files_ += count;
  if (files_ > kMaxFiles) return TooMany("files", kMaxFiles);
  directory.files =
      std::make_unique<Files>(Files{.listing = std::move(checked),
                                    .sha256s = std::string(kSha256Bytes * count, '\0'),
                                    .states = std::vector<FileState>(count, FileState::kUnknown)});
  return absl::OkStatus();
}

absl::Status SyncTree::CheckFile(FileRef ref) const {
  if (ref.directory < directories_.size() && directories_[ref.directory].files != nullptr &&
      ref.file < directories_[ref.directory].files->states.size()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("file number ", ref.file, " of directory number ",
                                                 ref.directory, " was not listed"));
}

std::string SyncTree::sha256(FileRef ref) const {
  return directories_[ref.directory].files->sha256s.substr(kSha256Bytes * ref.file, kSha256Bytes);
}

void SyncTree::SetSha256(FileRef ref, absl::string_view sha256) {
  files_of(ref).sha256s.replace(kSha256Bytes * ref.file, kSha256Bytes, sha256.data(),
                                sha256.size());
}

int64_t SyncTree::size(FileRef ref) const {
  return directories_[ref.directory].files->listing.stat(ref.file).size;
}

std::string SyncTree::PathOf(FileRef ref) const {
  if (!CheckFile(ref).ok()) return absl::StrCat(ref.directory, ":", ref.file);
  const Directory& directory = directories_[ref.directory];
  return absl::StrCat(directory.path, directory.path.empty() ? "" : "/",
                      directory.files->listing.name(ref.file));
}

void SyncTree::ForEach(FileState state, absl::FunctionRef<void(FileRef)> each) const {
  for (uint32_t d = 0; d < directories_.size(); ++d) {
    if (directories_[d].files == nullptr) continue;
    const std::vector<FileState>& states = directories_[d].files->states;
    for (uint32_t f = 0; f < states.size(); ++f) {
      if (states[f] == state) each({.directory = d, .file = f});
    }
  }
}

DirectoryContent SyncTree::ContentOf(const Files& files) {
  DirectoryContent content;
  for (size_t i = 0; i < files.states.size(); ++i) {
    if (!IsKept(files, i)) continue;
    content.Add(files.listing.name(i), files.listing.stat(i).mode,
                absl::string_view(files.sha256s).substr(kSha256Bytes * i, kSha256Bytes));
  }
  return content;
}

KnownDirectory SyncTree::Learned(const Directory& directory, int64_t epoch) {
  const Files& files = *directory.files;
  KnownDirectory learned = {.path = directory.path,
                            .digest = files.are_as_listed ? directory.digest : "",
                            .content = ContentOf(files).Digest(),
                            .epoch = epoch};
  for (size_t i = 0; i < files.states.size(); ++i) {
    if (!IsKept(files, i)) continue;
    ++learned.files;
    learned.bytes += files.listing.stat(i).size;
    learned.has_young = learned.has_young || files.listing.is_young(i);
  }
  return learned;
}

KnownFiles SyncTree::LearnedFiles(const Files& files) {
  KnownFiles learned = {
      .listing = files.listing.Serialize([&files](size_t index) { return IsKept(files, index); })};
  for (size_t i = 0; i < files.states.size(); ++i) {
    if (IsKept(files, i)) learned.sha256s.append(files.sha256s, kSha256Bytes * i, kSha256Bytes);
  }
  return learned;
}

}  // namespace contree
