#include "local-backend/images/image_archive.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/files/unique_fd.h"
#include "common/status/status_macros.h"
#include "local-backend/images/tar_header.h"
#include "local-backend/images/tree_walk.h"

namespace contree {
namespace {

constexpr size_t kPieceBytes = 256 * 1024;

using Names = ImageReader::Names;

// "/usr/./lib/../bin/" is "usr/bin"; the image's root is "".
std::string MemberName(absl::string_view path) {
  std::vector<absl::string_view> parts;
  for (absl::string_view part : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    if (part == ".") continue;
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
    } else {
      parts.push_back(part);
    }
  }
  return absl::StrJoin(parts, "/");
}

class Archive {
 public:
  Archive(const ImageReader& reader, absl::FunctionRef<bool(absl::string_view)> sink)
      : users_(reader.UserNames()), groups_(reader.GroupNames()), sink_(sink) {}

  // `through` leads to what is added; kFollow: by a link of /proc to it.
  enum class Link { kKeep, kFollow };
  absl::Status Add(const std::string& name, const std::string& through, const struct stat& info,
                   Link link = Link::kKeep) {
    if (S_ISSOCK(info.st_mode)) return absl::OkStatus();
    TarEntry entry = {.name = name,
                      .mode = info.st_mode & 07777,
                      .uid = info.st_uid,
                      .gid = info.st_gid,
                      .user = NameOf(users_, info.st_uid),
                      .group = NameOf(groups_, info.st_gid),
                      .mtime_seconds = info.st_mtim.tv_sec,
                      .mtime_nanoseconds = static_cast<uint32_t>(info.st_mtim.tv_nsec),
                      .target = "",
                      .attributes = Attributes(through, link)};
    if (S_ISDIR(info.st_mode)) {
      entry.kind = TarKind::kDirectory;
      entry.name += '/';
    } else if (info.st_nlink > 1 && Seen(info, entry)) {
      entry.kind = TarKind::kHardLink;
    } else if (S_ISLNK(info.st_mode)) {
      entry.kind = TarKind::kSymbolicLink;
      char target[PATH_MAX];
      const ssize_t size = readlink(through.c_str(), target, sizeof target);
      if (size < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read the link ", name));
      entry.target.assign(target, static_cast<size_t>(size));
    } else if (S_ISREG(info.st_mode)) {
      return AddFile(std::move(entry), through, info.st_size);
    } else if (S_ISFIFO(info.st_mode)) {
      entry.kind = TarKind::kFifo;
    } else {
      entry.kind = S_ISCHR(info.st_mode) ? TarKind::kCharacterDevice : TarKind::kBlockDevice;
      entry.device_major = major(info.st_rdev);
      entry.device_minor = minor(info.st_rdev);
    }
    return Send(TarHeader(entry));
  }

  absl::Status Finish() { return Send(TarEnd()); }

 private:
  static std::string NameOf(const Names& names, uint32_t id) {
    const auto found = names.find(id);
    return found == names.end() ? "" : found->second;
  }

  static std::map<std::string, std::string> Attributes(const std::string& through, Link link) {
    std::map<std::string, std::string> attributes;
    char names[8192];
    const bool keep = link == Link::kKeep;
    const ssize_t size = (keep ? llistxattr : listxattr)(through.c_str(), names, sizeof names);
    if (size <= 0) return attributes;
    for (absl::string_view name : absl::StrSplit(
             absl::string_view(names, static_cast<size_t>(size)), '\0', absl::SkipEmpty())) {
      const std::string key(name);
      std::string value(XATTR_SIZE_MAX, '\0');
      const ssize_t length =
          (keep ? lgetxattr : getxattr)(through.c_str(), key.c_str(), value.data(), value.size());
      if (length < 0) continue;
      value.resize(static_cast<size_t>(length));
      attributes[key] = value;
    }
    return attributes;
  }

  // Whether this file was added under another name, which then becomes the target.
  bool Seen(const struct stat& info, TarEntry& entry) {
    const auto [first, is_new] = seen_.try_emplace({info.st_dev, info.st_ino}, entry.name);
    if (!is_new) entry.target = first->second;
    return !is_new;
  }

  absl::Status AddFile(TarEntry entry, const std::string& through, int64_t size) {
    const UniqueFd file(open(through.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.is_open())
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", entry.name));
    entry.size = size;
    RETURN_IF_ERROR(Send(TarHeader(entry)));
    if (piece_.empty()) piece_.resize(kPieceBytes);
    for (int64_t left = size; left > 0;) {
      const ssize_t got = read(file.get(), piece_.data(), piece_.size());
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", entry.name));
      const auto part = static_cast<size_t>(std::min<int64_t>(got, left));
      RETURN_IF_ERROR(Send(absl::string_view(piece_.data(), part)));
      left -= static_cast<int64_t>(part);
    }
    return Send(TarPadding(size));
  }

  absl::Status Send(absl::string_view bytes) {
    if (bytes.empty() || sink_(bytes)) return absl::OkStatus();
    return absl::CancelledError("nobody reads the archive any more");
  }

  const Names users_;
  const Names groups_;
  const absl::FunctionRef<bool(absl::string_view)> sink_;
  std::map<std::pair<dev_t, ino_t>, std::string> seen_;
  std::string piece_;
};

std::string Through(int directory, const char* name) {
  return absl::StrCat("/proc/self/fd/", directory, "/", name);
}

}  // namespace

absl::Status WriteArchive(const ImageReader& reader, const std::string& path,
                          absl::FunctionRef<bool(absl::string_view)> sink) {
  ASSIGN_OR_RETURN(const UniqueFd place, reader.OpenPath(path));
  struct stat info;
  if (fstat(place.get(), &info) != 0) return absl::ErrnoToStatus(errno, "cannot look at the path");
  const std::string name = MemberName(path);
  // Small pieces are gathered: each one sent is a packet.
  std::string buffer;
  const auto gather = [&](absl::string_view bytes) {
    buffer.append(bytes.data(), bytes.size());
    if (buffer.size() < kPieceBytes) return true;
    const bool sent = sink(buffer);
    buffer.clear();
    return sent;
  };
  Archive archive(reader, gather);
  if (!name.empty()) {
    RETURN_IF_ERROR(archive.Add(name, absl::StrCat("/proc/self/fd/", place.get()), info,
                                Archive::Link::kFollow));
  }
  if (S_ISDIR(info.st_mode)) {
    RETURN_IF_ERROR(
        WalkTree(place.get(), name, [&](const WalkEntry& entry) -> absl::StatusOr<WalkStep> {
          RETURN_IF_ERROR(
              archive.Add(entry.path, Through(entry.directory, entry.name), entry.info));
          return WalkStep::kContinue;
        }));
  }
  RETURN_IF_ERROR(archive.Finish());
  if (!buffer.empty() && !sink(buffer)) {
    return absl::CancelledError("nobody reads the archive any more");
  }
  return absl::OkStatus();
}

}  // namespace contree
