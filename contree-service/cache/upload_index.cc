#include "contree-service/cache/upload_index.h"

#include <algorithm>
#include <utility>

#include "common/status/status_macros.h"

namespace contree {
namespace {

constexpr size_t kMaxFiles = size_t{2} * UploadIndex::kMaxPages * UploadIndex::kUploadsPerPage;

}  // namespace

const v1::StoredFile* UploadIndex::Find(absl::string_view sha256) const {
  const auto found = by_sha256_.find(sha256);
  return found == by_sha256_.end() ? nullptr : &found->second;
}

absl::StatusOr<bool> UploadIndex::ReadPage(int page, absl::string_view since, ListPage list) {
  ASSIGN_OR_RETURN(std::vector<UploadedFile> files, list(page * kUploadsPerPage, since));
  const bool goes_on = files.size() >= kUploadsPerPage;
  for (UploadedFile& upload : files) {
    // Times of one form, so that text compares as they do; where it does not (with or without
    // fractions), a little too much is read next time.
    newest_ = std::max(newest_, upload.created_at);
    std::string sha256 = upload.file.sha256();
    by_sha256_.insert_or_assign(std::move(sha256), std::move(upload.file));
  }
  return goes_on;
}

bool UploadIndex::ReadNews(ListPage list) {
  const std::string since = newest_;
  for (int page = 0; page < kMaxPages && by_sha256_.size() < kMaxFiles; ++page) {
    const absl::StatusOr<bool> goes_on = ReadPage(page, since, list);
    if (!goes_on.ok()) return false;
    if (!*goes_on) return true;
  }
  return false;
}

void UploadIndex::ReadAll(int contents, ListPage list, absl::Time now) {
  const int worth = contents / kContentsPerPage;
  by_sha256_.clear();
  newest_.clear();
  for (int page = 0; page < std::max(worth, kMaxPages); ++page) {
    // More than is worth reading for these contents only where it can be kept.
    if (page >= worth && (now < too_long_until_ || newest_.empty())) break;
    const absl::StatusOr<bool> goes_on = ReadPage(page, "", list);
    if (!goes_on.ok()) return;
    if (*goes_on) continue;
    is_whole_ = true;
    read_at_ = now;
    return;
  }
  if (now >= too_long_until_) too_long_until_ = now + kMaxAge;
}

void UploadIndex::Update(int contents, ListPage list, absl::Time now) {
  const bool is_kept = is_whole_ && now - read_at_ < kMaxAge && !newest_.empty();
  if (is_kept && ReadNews(list)) return;
  is_whole_ = false;
  if (contents >= kContentsPerPage) {
    ReadAll(contents, list, now);
  } else {
    by_sha256_.clear();
  }
}

}  // namespace contree
