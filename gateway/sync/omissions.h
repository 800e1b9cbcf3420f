#ifndef GATEWAY_SYNC_OMISSIONS_H_
#define GATEWAY_SYNC_OMISSIONS_H_

// What of a tree a sync does not carry, and why: the result of rsync tells it.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace contree::gateway {

enum class Omission {
  kLinkToDirectory,      // the platform knows regular files only
  kLinkOutside,          // leads out of the tree
  kBrokenLink,           // leads nowhere, or in a circle
  kLinkToSpecial,        // to a socket, a pipe or a device
  kEmptyDirectory,       // as kLinkToDirectory
  kSpecialFile,          // socket, pipe or device
  kUnreadableFile,       // permission
  kUnreadableDirectory,  // with all that is in it
  kNameNotUtf8,          // the platform's paths are text
  kPathTooLong,          // longer than the system takes in one piece
  kKernelFileSystem,     // /proc and its like, mounted in the tree
  kUnsettled,            // changed each time that it was read
};

// For people, in the plural: "symbolic links to directories".
absl::string_view OmissionText(Omission omission);

// Counts, and the first names of each. Used by one thread.
class Omissions {
 public:
  struct Named {
    int64_t count = 0;
    std::vector<std::string> paths;  // at most kMaxNames; UTF-8: other bytes are written as \xNN
  };
  static constexpr size_t kMaxNames = 10;

  void Add(Omission omission, absl::string_view path);
  void Merge(const Omissions& other);
  const std::map<Omission, Named>& all() const { return all_; }
  int64_t count(Omission omission) const;

 private:
  std::map<Omission, Named> all_;
};

}  // namespace contree::gateway

#endif  // GATEWAY_SYNC_OMISSIONS_H_
