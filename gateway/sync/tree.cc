#include "gateway/sync/tree.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <unordered_set>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/files/sha256.h"

namespace contree::gateway {

absl::StatusOr<std::shared_ptr<const TreeRoot>> TreeRoot::Of(HostSource source) {
  struct stat info;
  if (fstat(source.fd.get(), &info) != 0) {
    return absl::InternalError(
        absl::ErrnoToStatus(errno, absl::StrCat("cannot look at '", source.path, "'")).message());
  }
  auto root = std::make_shared<TreeRoot>();
  root->fd = std::move(source.fd);
  root->path = std::move(source.path);
  root->is_directory = source.is_directory;
  root->device = info.st_dev;
  root->inode = info.st_ino;
  return root;
}

std::vector<absl::string_view> TreeDirectory::Names() const {
  std::vector<absl::string_view> names;
  names.reserve(static_cast<size_t>(files()));
  absl::string_view rest = listing.names();
  while (!rest.empty()) {
    const size_t end = rest.find('\0');
    names.push_back(rest.substr(0, end));
    rest.remove_prefix(end + 1);
  }
  return names;
}

FileRow TreeDirectory::Row(int file) const {
  const auto number = static_cast<uint32_t>(file);
  const bool is_link = std::binary_search(links.begin(), links.end(), number);
  return {
      .mode = listing.modes(file),
      .size = listing.sizes(file),
      .mtime_ns = listing.mtimes_ns(file),
      .ctime_ns = listing.ctimes_ns(file),
      .inode = listing.inodes(file),
      .is_young = std::binary_search(listing.young().begin(), listing.young().end(), number),
      .has_other_names = std::binary_search(other_names.begin(), other_names.end(), number),
      .is_link = is_link,
  };
}

void TreeDirectoryBuilder::Add(absl::string_view name, const FileRow& row) {
  items_.push_back({.name_at = names_.size(), .name_size = name.size(), .row = row});
  names_.append(name.data(), name.size());
}

absl::StatusOr<std::shared_ptr<const TreeDirectory>> TreeDirectoryBuilder::Build(
    absl::string_view path, Omissions omissions) {
  std::sort(items_.begin(), items_.end(),
            [this](const Item& a, const Item& b) { return NameOf(a) < NameOf(b); });
  auto directory = std::make_shared<TreeDirectory>();
  directory->path = std::string(path);
  directory->omissions = std::move(omissions);
  sync::v1::DirectoryListing& listing = directory->listing;
  const int count = static_cast<int>(items_.size());
  if (count > 0) {
    listing.mutable_names()->reserve(names_.size() + items_.size());
    listing.mutable_modes()->Reserve(count);
    listing.mutable_sizes()->Reserve(count);
    listing.mutable_mtimes_ns()->Reserve(count);
    listing.mutable_ctimes_ns()->Reserve(count);
    listing.mutable_inodes()->Reserve(count);
  }
  for (uint32_t i = 0; i < items_.size(); ++i) {
    const FileRow& row = items_[i].row;
    const absl::string_view name = NameOf(items_[i]);
    listing.mutable_names()->append(name.data(), name.size());
    listing.mutable_names()->push_back('\0');
    listing.mutable_modes()->AddAlreadyReserved(row.mode);
    listing.mutable_sizes()->AddAlreadyReserved(row.size);
    listing.mutable_mtimes_ns()->AddAlreadyReserved(row.mtime_ns);
    listing.mutable_ctimes_ns()->AddAlreadyReserved(row.ctime_ns);
    listing.mutable_inodes()->AddAlreadyReserved(row.inode);
    if (row.is_young) listing.add_young(i);
    if (row.is_link) directory->links.push_back(i);
    if (row.has_other_names) directory->other_names.push_back(i);
    directory->bytes += row.size;
  }
  names_.clear();
  items_.clear();
  if (count == 0) return directory;
  serialized_.clear();
  if (listing.ByteSizeLong() > kMaxListingBytes || !listing.SerializeToString(&serialized_)) {
    return absl::InvalidArgumentError(absl::StrCat(
        path.empty() ? "the source" : absl::StrCat("'", path, "'"), " holds ", count,
        " files in one directory, which is more than a sync can carry: exclude those that are not "
        "needed, or put them into several directories"));
  }
  directory->digest = Sha256Bytes(serialized_);
  return directory;
}

std::shared_ptr<const Tree> MakeTree(
    std::shared_ptr<const TreeRoot> root,
    std::vector<std::shared_ptr<const TreeDirectory>> directories) {
  auto tree = std::make_shared<Tree>();
  std::unordered_set<std::string_view> parents;
  parents.reserve(directories.size());
  for (const auto& directory : directories) {
    if (directory->path.empty()) continue;
    const size_t slash = directory->path.rfind('/');
    parents.insert(
        std::string_view(directory->path).substr(0, slash == std::string::npos ? 0 : slash));
  }
  Sha256 digest;
  for (auto& directory : directories) {
    tree->omissions.Merge(directory->omissions);
    if (directory->files() == 0) {
      if (!directory->path.empty() && !directory->is_omitted &&
          !parents.contains(directory->path)) {
        tree->omissions.Add(Omission::kEmptyDirectory, directory->path);
      }
      continue;
    }
    tree->files += directory->files();
    tree->bytes += directory->bytes;
    tree->links += static_cast<int64_t>(directory->links.size());
    digest.Update(directory->path);
    digest.Update(absl::string_view("\0", 1));
    digest.Update(directory->digest);
    tree->directories.push_back(std::move(directory));
  }
  tree->digest = digest.Finish();
  tree->root = std::move(root);
  return tree;
}

std::string JoinTreePath(absl::string_view directory, absl::string_view name) {
  return directory.empty() ? std::string(name) : absl::StrCat(directory, "/", name);
}

}  // namespace contree::gateway
