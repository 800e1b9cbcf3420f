#include "sync-service/checked_listing.h"

#include <limits>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/text/utf8.h"

namespace contree {
namespace {

constexpr size_t kMaxNameBytes = 255;
constexpr uint32_t kPermissions = 07777;

absl::Status Invalid(absl::string_view directory, absl::string_view problem) {
  return absl::InvalidArgumentError(
      absl::StrCat("the listing of '", absl::CHexEscape(directory), "' is not valid: ", problem));
}

}  // namespace

absl::Status CheckName(absl::string_view name) {
  if (!name.empty() && name.size() <= kMaxNameBytes && name != "." && name != ".." &&
      name.find('/') == absl::string_view::npos && name.find('\0') == absl::string_view::npos &&
      IsUtf8(name)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("'", absl::CHexEscape(name.substr(0, kMaxNameBytes)),
                   "' is no name: it must have 1 to 255 bytes of UTF-8 without slashes and be "
                   "neither . nor .."));
}

absl::StatusOr<CheckedListing> CheckedListing::Parse(absl::string_view serialized,
                                                     absl::string_view directory) {
  CheckedListing listing;
  sync::v1::DirectoryListing& columns = listing.columns_;
  if (serialized.size() > static_cast<size_t>(std::numeric_limits<int>::max()) ||
      !columns.ParseFromArray(serialized.data(), static_cast<int>(serialized.size()))) {
    return Invalid(directory, "it is no DirectoryListing");
  }
  const absl::string_view names = columns.names();
  const auto count = static_cast<size_t>(columns.sizes_size());
  listing.name_ends_.reserve(count);
  for (size_t begin = 0; begin < names.size();) {
    const size_t end = names.find('\0', begin);
    if (end == absl::string_view::npos) return Invalid(directory, "its last name has no end");
    const absl::string_view name = names.substr(begin, end - begin);
    if (absl::Status status = CheckName(name); !status.ok())
      return Invalid(directory, status.message());
    if (!listing.name_ends_.empty() && listing.name(listing.size() - 1) >= name) {
      return Invalid(directory, absl::StrCat("its names are not sorted at '", name, "'"));
    }
    listing.name_ends_.push_back(static_cast<uint32_t>(end));
    begin = end + 1;
  }
  const auto fits = [&](int size) { return static_cast<size_t>(size) == listing.size(); };
  if (!fits(columns.sizes_size()) || !fits(columns.modes_size()) ||
      !fits(columns.mtimes_ns_size()) || !fits(columns.ctimes_ns_size()) ||
      !fits(columns.inodes_size())) {
    return Invalid(directory, "its columns have different lengths");
  }
  for (size_t i = 0; i < listing.size(); ++i) {
    const int index = static_cast<int>(i);
    if ((columns.modes(index) & ~kPermissions) != 0)
      return Invalid(directory, absl::StrCat("the mode of '", listing.name(i),
                                             "' has bits that are no permissions"));
    if (columns.sizes(index) < 0)
      return Invalid(directory, absl::StrCat("the size of '", listing.name(i), "' is negative"));
  }
  listing.is_young_.resize(listing.size());
  for (const uint32_t young : columns.young()) {
    if (young >= listing.size()) return Invalid(directory, "a young file is not in it");
    listing.is_young_[young] = true;
  }
  columns.clear_young();
  return listing;
}

absl::string_view CheckedListing::name(size_t index) const {
  const size_t begin = index == 0 ? 0 : size_t{name_ends_[index - 1]} + 1;
  return absl::string_view(columns_.names()).substr(begin, name_ends_[index] - begin);
}

FileStat CheckedListing::stat(size_t index) const {
  const int i = static_cast<int>(index);
  return {.mode = columns_.modes(i),
          .size = columns_.sizes(i),
          .mtime_ns = columns_.mtimes_ns(i),
          .ctime_ns = columns_.ctimes_ns(i),
          .inode = columns_.inodes(i)};
}

void CheckedListing::Replace(size_t index, const FileStat& stat, bool is_young) {
  const int i = static_cast<int>(index);
  columns_.set_modes(i, stat.mode & kPermissions);
  columns_.set_sizes(i, stat.size);
  columns_.set_mtimes_ns(i, stat.mtime_ns);
  columns_.set_ctimes_ns(i, stat.ctime_ns);
  columns_.set_inodes(i, stat.inode);
  is_young_[index] = is_young;
}

std::string CheckedListing::Serialize(absl::FunctionRef<bool(size_t index)> keeps) const {
  sync::v1::DirectoryListing kept;
  for (size_t i = 0; i < size(); ++i) {
    if (!keeps(i)) continue;
    if (is_young_[i]) kept.add_young(static_cast<uint32_t>(kept.sizes_size()));
    const FileStat file = stat(i);
    absl::StrAppend(kept.mutable_names(), name(i), absl::string_view("\0", 1));
    kept.add_modes(file.mode);
    kept.add_sizes(file.size);
    kept.add_mtimes_ns(file.mtime_ns);
    kept.add_ctimes_ns(file.ctime_ns);
    kept.add_inodes(file.inode);
  }
  return kept.SerializeAsString();
}

void CheckedListing::ForEachUnchanged(
    const CheckedListing& known,
    absl::FunctionRef<void(size_t index, size_t known_index)> each) const {
  size_t k = 0;
  for (size_t i = 0; i < size(); ++i) {
    while (k < known.size() && known.name(k) < name(i)) ++k;
    if (k == known.size()) return;
    if (known.name(k) == name(i) && !known.is_young(k) && known.stat(k) == stat(i)) each(i, k);
  }
}

}  // namespace contree
