#include "gateway/sync/omissions.h"

#include "absl/strings/escaping.h"
#include "common/text/utf8.h"

namespace contree::gateway {

absl::string_view OmissionText(Omission omission) {
  switch (omission) {
    case Omission::kLinkToDirectory:
      return "symbolic links to directories";
    case Omission::kLinkOutside:
      return "symbolic links that lead out of the source";
    case Omission::kBrokenLink:
      return "symbolic links that lead nowhere";
    case Omission::kLinkToSpecial:
      return "symbolic links to sockets, pipes or devices";
    case Omission::kEmptyDirectory:
      return "empty directories";
    case Omission::kSpecialFile:
      return "sockets, pipes and devices";
    case Omission::kUnreadableFile:
      return "files that may not be read";
    case Omission::kUnreadableDirectory:
      return "directories that may not be read";
    case Omission::kNameNotUtf8:
      return "names that are not UTF-8";
    case Omission::kPathTooLong:
      return "paths that are too long";
    case Omission::kKernelFileSystem:
      return "file systems that the kernel makes up";
    case Omission::kUnsettled:
      return "files that changed each time they were read";
  }
  return "others";
}

void Omissions::Add(Omission omission, absl::string_view path) {
  Named& named = all_[omission];
  ++named.count;
  if (named.paths.size() >= kMaxNames) return;
  named.paths.push_back(IsUtf8(path) ? std::string(path) : absl::CHexEscape(path));
}

void Omissions::Merge(const Omissions& other) {
  for (const auto& [omission, named] : other.all_) {
    Named& mine = all_[omission];
    mine.count += named.count;
    for (const std::string& path : named.paths) {
      if (mine.paths.size() >= kMaxNames) break;
      mine.paths.push_back(path);
    }
  }
}

int64_t Omissions::count(Omission omission) const {
  const auto found = all_.find(omission);
  return found == all_.end() ? 0 : found->second.count;
}

}  // namespace contree::gateway
