#ifndef SYNC_SERVICE_CHECKED_LISTING_H_
#define SYNC_SERVICE_CHECKED_LISTING_H_

// A directory's listing as a walker sends it or the cache keeps it, checked before anything is done
// with it.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "contree/sync/v1/sync_service.pb.h"

namespace contree {

// What a file's content is known by without reading it.
struct FileStat {
  uint32_t mode = 0;  // permission bits
  int64_t size = 0;
  int64_t mtime_ns = 0;
  int64_t ctime_ns = 0;
  uint64_t inode = 0;
  friend bool operator==(const FileStat&, const FileStat&) = default;
};

// Thread-compatible.
class CheckedListing {
 public:
  // InvalidArgument: no DirectoryListing; columns of different lengths; a name that is none, or out
  // of order; a mode with other bits than permissions; a negative size. `directory` is for the
  // message.
  static absl::StatusOr<CheckedListing> Parse(absl::string_view serialized,
                                              absl::string_view directory);

  size_t size() const { return name_ends_.size(); }
  absl::string_view name(size_t index) const;
  FileStat stat(size_t index) const;
  bool is_young(size_t index) const { return is_young_[index]; }

  // The file was found to be otherwise.
  void Replace(size_t index, const FileStat& stat, bool is_young);

  // As Parse takes it, without the files that `keeps` denies.
  std::string Serialize(absl::FunctionRef<bool(size_t index)> keeps) const;

  // Calls `each` for the files that are in `known` with the same stat, one that is to be trusted.
  void ForEachUnchanged(const CheckedListing& known,
                        absl::FunctionRef<void(size_t index, size_t known_index)> each) const;

 private:
  CheckedListing() = default;

  sync::v1::DirectoryListing columns_;
  std::vector<uint32_t> name_ends_;  // positions of the NULs
  std::vector<bool> is_young_;
};

// OK: a name that a file in a directory can have. InvalidArgument: empty, ".", "..", longer than
// 255 bytes, with a slash or a NUL, no UTF-8.
absl::Status CheckName(absl::string_view name);

}  // namespace contree

#endif  // SYNC_SERVICE_CHECKED_LISTING_H_
