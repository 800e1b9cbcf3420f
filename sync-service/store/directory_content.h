#ifndef SYNC_SERVICE_STORE_DIRECTORY_CONTENT_H_
#define SYNC_SERVICE_STORE_DIRECTORY_CONTENT_H_

// What a directory state is made of. A state names, for each directory, the digest of its content,
// so that states that differ in a few files share all other directories, and the id of a state of a
// hundred thousand files is computed from two thousand digests.

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace contree {

// The regular files of one directory, sorted by name. In columns, as it is stored and digested.
class DirectoryContent {
 public:
  DirectoryContent() = default;
  // As the accessors gave them.
  DirectoryContent(std::string names, std::string modes, std::string sha256s)
      : names_(std::move(names)), modes_(std::move(modes)), sha256s_(std::move(sha256s)) {}

  // Behind those that are there. `mode` has permission bits only, `sha256` 32 bytes.
  void Add(absl::string_view name, uint32_t mode, absl::string_view sha256);

  // In order.
  void ForEach(
      absl::FunctionRef<void(absl::string_view name, uint32_t mode, absl::string_view sha256)> each)
      const;
  size_t size() const { return modes_.size() / 2; }
  // Whether the columns fit together: false for one that was damaged in the store.
  bool IsWhole() const;

  std::string Digest() const;  // 32 bytes

  const std::string& names() const { return names_; }      // each followed by a NUL
  const std::string& modes() const { return modes_; }      // two bytes each, the low one first
  const std::string& sha256s() const { return sha256s_; }  // 32 bytes each

 private:
  std::string names_;
  std::string modes_;
  std::string sha256s_;
};

// How many names of the first are not in the second.
int64_t CountGone(const DirectoryContent& before, const DirectoryContent& after);

struct StateDirectory {
  std::string path;     // relative to the destination; "" for itself
  std::string content;  // DirectoryContent::Digest
};

struct DirectoryState {
  std::string destination = {};  // absolute
  int64_t files = 0;
  int64_t bytes = 0;
  std::vector<StateDirectory> directories = {};  // sorted by path, none without files
};

// "ds_" and 32 hexadecimal digits that say where which content goes.
std::string DirectoryStateId(absl::string_view destination,
                             absl::Span<const StateDirectory> directories);

}  // namespace contree

#endif  // SYNC_SERVICE_STORE_DIRECTORY_CONTENT_H_
