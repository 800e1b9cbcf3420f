#include "gateway/sync/file_reader.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "gateway/sync/tree_entry.h"

namespace contree::gateway {
namespace {

constexpr int kMaxReads = 4;

HashedFile::Outcome OutcomeOf(int error) {
  return error == ENOENT || error == ENOTDIR || error == ELOOP || error == EXDEV
             ? HashedFile::Outcome::kGone
             : HashedFile::Outcome::kUnreadable;
}

}  // namespace

FileReader::FileReader() : piece_(std::make_unique_for_overwrite<char[]>(kFilePieceBytes)) {}

HashedFile FileReader::Hash(const TreeRoot& root, const FileInTree& file,
                            const std::stop_token& stop) {
  for (int i = 0; i < kMaxReads; ++i) {
    const int64_t now = NowNanoseconds();
    const UniqueFd fd = OpenTreeFile(root, file.path, file.is_link);
    if (!fd.is_open()) return {.outcome = OutcomeOf(errno)};
    struct stat before;
    if (fstat(fd.get(), &before) != 0 || !S_ISREG(before.st_mode)) return {};
    const bool is_local = FactsOfFileSystem(fd.get()).is_local;
    int64_t size = 0;
    for (;;) {
      const std::optional<absl::string_view> piece = ReadPiece(fd.get(), kFilePieceBytes);
      if (!piece.has_value()) {
        hash_.Finish();
        return {.outcome = HashedFile::Outcome::kUnreadable};
      }
      hash_.Update(*piece);
      size += static_cast<int64_t>(piece->size());
      if (piece->size() < kFilePieceBytes) break;
      // One that grows as fast as it is read has no end.
      if (size > before.st_size || stop.stop_requested()) break;
    }
    HashedFile hashed{.outcome = HashedFile::Outcome::kHashed,
                      .sha256 = hash_.Finish(),
                      .row = RowOf(before, now, is_local)};
    if (stop.stop_requested()) return {.outcome = HashedFile::Outcome::kStopped};
    struct stat after;
    if (fstat(fd.get(), &after) != 0) return {};
    if (size == before.st_size && hashed.row.HasStatOf(RowOf(after, now, is_local))) return hashed;
  }
  return {.outcome = HashedFile::Outcome::kUnsettled};
}

bool FileReader::Send(const TreeRoot& root, const FileInTree& file, const Expected& expected,
                      absl::FunctionRef<bool(absl::string_view piece, bool is_last)> send) {
  const UniqueFd fd = OpenTreeFile(root, file.path, file.is_link);
  struct stat info;
  const auto is_as_expected = [&] {
    if (fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) return false;
    return expected.sha256.empty() ? expected.row.HasStatOf(RowOf(info, 0, true))
                                   : expected.row.size == info.st_size;
  };
  if (!fd.is_open() || !is_as_expected()) return false;
  int64_t left = expected.row.size;
  for (;;) {
    const size_t most = static_cast<size_t>(std::min<int64_t>(left, kFilePieceBytes));
    const std::optional<absl::string_view> piece = ReadPiece(fd.get(), most);
    if (!piece.has_value() || piece->size() < most) break;
    hash_.Update(*piece);
    left -= static_cast<int64_t>(most);
    if (left > 0) {
      if (!send(*piece, false)) break;
      continue;
    }
    const std::string sha256 = hash_.Finish();
    if (expected.sha256.empty() ? !is_as_expected() : sha256 != expected.sha256) return false;
    return send(*piece, true);
  }
  hash_.Finish();
  return false;
}

std::optional<absl::string_view> FileReader::ReadPiece(int fd, size_t most) {
  size_t filled = 0;
  while (filled < most) {
    const ssize_t size = read(fd, piece_.get() + filled, most - filled);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return std::nullopt;
    if (size == 0) break;
    filled += static_cast<size_t>(size);
  }
  return absl::string_view(piece_.get(), filled);
}

}  // namespace contree::gateway
