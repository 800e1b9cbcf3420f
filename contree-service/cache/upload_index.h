#ifndef CONTREE_SERVICE_CACHE_UPLOAD_INDEX_H_
#define CONTREE_SERVICE_CACHE_UPLOAD_INDEX_H_

// Which contents a tenant's project has on a platform, as the platform's list of uploads says.
// Asking for each by its hash is an exchange each time; the list tells of a thousand at once, and
// read again tells only what came since.
//
// What is not in a whole index the platform has not, or another client uploads it this moment: then
// it is uploaded twice, which the platform answers with the same file. What is in it may have been
// removed since the list was read as a whole, kMaxAge at most, as any file may be before it is
// used.

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "contree-service/api/contree_api.h"

namespace contree {

// Used by one thread at a time.
class UploadIndex {
 public:
  static constexpr absl::Duration kMaxAge = absl::Minutes(10);
  static constexpr int kUploadsPerPage = 1000;
  // Lists longer than so many pages are not kept.
  static constexpr int kMaxPages = 10;
  // So many contents to look for are worth reading one page of a list that is not kept.
  static constexpr int kContentsPerPage = 100;

  // A page of the list from `offset` on, of what was uploaded at `since` or later; "": of all.
  using ListPage = absl::FunctionRef<absl::StatusOr<std::vector<UploadedFile>>(
      int offset, absl::string_view since)>;

  // Reads what is worth reading to look for so many contents. Where the list cannot be read, the
  // index is not whole.
  void Update(int contents, ListPage list, absl::Time now);

  // As of the last Update.
  bool is_whole() const { return is_whole_; }
  // nullptr: it was not on the pages that were read.
  const v1::StoredFile* Find(absl::string_view sha256) const;

 private:
  // Whether the list went on behind the page.
  absl::StatusOr<bool> ReadPage(int page, absl::string_view since, ListPage list);
  bool ReadNews(ListPage list);
  void ReadAll(int contents, ListPage list, absl::Time now);

  bool is_whole_ = false;
  absl::Time read_at_ = absl::InfinitePast();         // as a whole
  absl::Time too_long_until_ = absl::InfinitePast();  // not to be tried again before
  std::string newest_;  // the time of an upload, as the platform writes it
  absl::flat_hash_map<std::string, v1::StoredFile> by_sha256_;
};

}  // namespace contree

#endif  // CONTREE_SERVICE_CACHE_UPLOAD_INDEX_H_
