#ifndef GATEWAY_SYNC_FILE_READER_H_
#define GATEWAY_SYNC_FILE_READER_H_

// Reading the files of a tree in pieces, to hash or to send them, and noticing when they change
// meanwhile. One object is for one thread; it holds one piece.

#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "common/files/sha256.h"
#include "gateway/sync/tree.h"

namespace contree::gateway {

inline constexpr size_t kFilePieceBytes = 256 << 10;

struct FileInTree {
  std::string path;  // relative to the root
  bool is_link = false;
};

struct HashedFile {
  enum class Outcome {
    kHashed,
    kGone,  // or no regular file any more
    kUnreadable,
    kUnsettled,  // changed each time it was read
    kStopped,
  };
  Outcome outcome = Outcome::kGone;
  std::string sha256 = {};  // 32 bytes
  FileRow row = {};         // as it was when it had this content
};

class FileReader {
 public:
  FileReader();

  // Reads it again, a few times, where it changes while it is read.
  HashedFile Hash(const TreeRoot& root, const FileInTree& file, const std::stop_token& stop);

  // What a content has to be. Without a SHA-256 the file's row has to stay as it is here.
  struct Expected {
    FileRow row;
    std::string sha256;
  };
  // Hands the pieces to `send`, the last one (maybe empty) marked and only after all of the content
  // proved to be as expected. False: it is not, or the file cannot be read, or `send` returned
  // false.
  bool Send(const TreeRoot& root, const FileInTree& file, const Expected& expected,
            absl::FunctionRef<bool(absl::string_view piece, bool is_last)> send);

 private:
  // The next piece, at most `most` bytes; less only at the end of the file. nullopt: an error.
  std::optional<absl::string_view> ReadPiece(int fd, size_t most);

  Sha256 hash_;
  const std::unique_ptr<char[]> piece_;
};

}  // namespace contree::gateway

#endif  // GATEWAY_SYNC_FILE_READER_H_
