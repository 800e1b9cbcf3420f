#include "local-backend/importer/layer_unpacker.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <locale.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <unordered_set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/files/unique_fd.h"
#include "common/status/status_macros.h"
#include "local-backend/importer/decompressor.h"
#include "local-backend/importer/layer_tree.h"
#include "local-backend/sandbox/overlay.h"
#include "local-backend/sandbox/user_namespace.h"

namespace contree {
namespace {

constexpr absl::string_view kWhiteoutPrefix = ".wh.";
constexpr absl::string_view kOpaque = ".wh..wh..opq";
constexpr absl::string_view kAufsPrefix = ".wh..wh.";  // left by an old storage driver
constexpr absl::string_view kBelowAufs = "/.wh..wh.";
constexpr int64_t kWorthBeginning = 64 * 1024;
// What an entry costs besides its content, so that a billion of empty files is a size too.
constexpr int64_t kEntryBytes = 512;

// While it lives, this thread reads names as UTF-8: libarchive converts by the locale.
class Utf8Names {
 public:
  Utf8Names()
      : locale_(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)), before_(uselocale(locale_)) {}
  ~Utf8Names() {
    uselocale(before_);
    if (locale_ != nullptr) freelocale(locale_);
  }
  Utf8Names(const Utf8Names&) = delete;
  Utf8Names& operator=(const Utf8Names&) = delete;

 private:
  const locale_t locale_;
  const locale_t before_;
};

absl::Status Refused(absl::string_view path, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(
      "the layer was refused: its entry \"", absl::CHexEscape(path.substr(0, 200)), "\" ", why));
}

// "./usr//bin/" → "usr/bin"; "" is the root.
absl::StatusOr<std::string> Normalised(absl::string_view path) {
  if (absl::StartsWith(path, "/")) return Refused(path, "has an absolute path");
  std::string normalised;
  for (const absl::string_view part : absl::StrSplit(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") return Refused(path, "leads upwards with ..");
    absl::StrAppend(&normalised, normalised.empty() ? "" : "/", part);
  }
  return normalised;
}

std::string Joined(const std::string& directory, absl::string_view name) {
  return directory.empty() ? std::string(name) : absl::StrCat(directory, "/", name);
}

// Whether the path is one of those that an old storage driver left in archives, or below one.
bool IsOfAufs(absl::string_view path) {
  return absl::StartsWith(path, kAufsPrefix) || absl::StrContains(path, kBelowAufs);
}

// libarchive's callback: what comes out of the Decompressor.
la_ssize_t ReadDecompressed(archive* reader, void* decompressor, const void** block) {
  const absl::StatusOr<absl::string_view> bytes = static_cast<Decompressor*>(decompressor)->Next();
  if (!bytes.ok()) {
    archive_set_error(reader, EILSEQ, "%s", std::string(bytes.status().message()).c_str());
    return ARCHIVE_FATAL;
  }
  *block = bytes->data();
  return static_cast<la_ssize_t>(bytes->size());
}

class Unpacking {
 public:
  Unpacking(const LayerUnpack& unpack, archive* reader, int root)
      : unpack_(unpack), reader_(reader), tree_(root) {}

  absl::Status Run() {
    while (true) {
      if (unpack_.is_cancelled()) return absl::CancelledError("the import was cancelled");
      archive_entry* entry = nullptr;
      const int result = archive_read_next_header(reader_, &entry);
      if (result == ARCHIVE_EOF) return tree_.Finish();
      if (result != ARCHIVE_OK && result != ARCHIVE_WARN) return ArchiveError();
      RETURN_IF_ERROR(Take(entry));
    }
  }

  int64_t bytes() const { return bytes_; }

 private:
  absl::Status ArchiveError() const {
    const char* text = archive_error_string(reader_);
    return absl::InvalidArgumentError(absl::StrCat("the layer is no intact tar archive: ",
                                                   absl::CHexEscape(text == nullptr ? "" : text)));
  }

  absl::Status Account(int64_t bytes) {
    accounted_ += bytes;
    if (accounted_ <= unpack_.max_bytes) return absl::OkStatus();
    return absl::ResourceExhaustedError(absl::StrCat(
        "the layer unpacks to more than ", unpack_.max_bytes, " bytes, which is what it may"));
  }

  absl::Status Take(archive_entry* entry) {
    const char* given = archive_entry_pathname(entry);
    if (given == nullptr)
      return absl::InvalidArgumentError("the layer holds a name that is no text");
    ASSIGN_OR_RETURN(const std::string path, Normalised(given));
    RETURN_IF_ERROR(Account(kEntryBytes));
    const size_t slash = path.rfind('/');
    const std::string directory = slash == std::string::npos ? "" : path.substr(0, slash);
    const absl::string_view name =
        absl::string_view(path).substr(slash == std::string::npos ? 0 : slash + 1);
    if (IsOfAufs(directory)) return absl::OkStatus();
    if (name == kOpaque) return HideChildren(directory);
    if (absl::StartsWith(name, kAufsPrefix)) return absl::OkStatus();
    if (absl::StartsWith(name, kWhiteoutPrefix)) {
      const absl::string_view hidden = name.substr(kWhiteoutPrefix.size());
      if (hidden.empty() || hidden == "." || hidden == "..") {
        return Refused(path, "hides nothing that can be named");
      }
      return Hide(Joined(directory, hidden));
    }
    if (const char* target = archive_entry_hardlink(entry); target != nullptr) {
      ASSIGN_OR_RETURN(const std::string source, Normalised(target));
      Touch(path);
      return tree_.MakeHardLink(path, source);
    }
    ASSIGN_OR_RETURN(const LayerAttributes attributes, Attributes(entry, path));
    return Make(entry, path, attributes);
  }

  absl::Status Make(archive_entry* entry, const std::string& path,
                    const LayerAttributes& attributes) {
    switch (archive_entry_filetype(entry)) {
      case AE_IFREG:
        Touch(path);
        return tree_.MakeFile(path, attributes,
                              [&](int fd) { return Content(fd, path, archive_entry_size(entry)); });
      case AE_IFDIR:
        Touch(path);
        return tree_.MakeDirectory(path, attributes);
      case AE_IFLNK: {
        const char* target = archive_entry_symlink(entry);
        if (target == nullptr || *target == '\0')
          return Refused(path, "is a link without a target");
        Touch(path);
        return tree_.MakeSymlink(path, target, attributes);
      }
      case AE_IFIFO:
        Touch(path);
        return tree_.MakeFifo(path, attributes);
      case AE_IFSOCK:
        return absl::OkStatus();  // means nothing without its program
      case AE_IFCHR:
      case AE_IFBLK:
        // Sandboxes have a /dev of their own, whatever an old image brings along. A character
        // device 0:0 would be overlayfs's mark for "deleted".
        if (absl::StartsWith(path, "dev/") && archive_entry_rdev(entry) != 0) {
          return absl::OkStatus();
        }
        return Refused(path, "is a device");
      default:
        return Refused(path, "is of a kind that no file system has");
    }
  }

  absl::StatusOr<LayerAttributes> Attributes(archive_entry* entry, const std::string& path) const {
    LayerAttributes attributes;
    const int64_t uid = archive_entry_uid(entry);
    const int64_t gid = archive_entry_gid(entry);
    if (uid < 0 || gid < 0 || uid >= kNamespaceIds || gid >= kNamespaceIds) {
      return Refused(path, absl::StrCat("belongs to ", uid, ":", gid, "; owners go up to ",
                                        kNamespaceIds - 1));
    }
    attributes.uid = static_cast<uid_t>(uid);
    attributes.gid = static_cast<gid_t>(gid);
    attributes.mode = archive_entry_perm(entry) & 07777;
    attributes.modified = {.tv_sec = archive_entry_mtime(entry),
                           .tv_nsec = archive_entry_mtime_nsec(entry)};
    const char* name = nullptr;
    const void* value = nullptr;
    size_t size = 0;
    archive_entry_xattr_reset(entry);
    while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
      if (absl::StartsWith(name, "user.overlay.") || absl::StartsWith(name, "trusted.overlay.")) {
        return Refused(
            path, absl::StrCat("carries ", absl::CHexEscape(name), ", which is overlayfs's own"));
      }
      const mode_t kind = archive_entry_filetype(entry);
      if ((absl::StartsWith(name, "user.") || absl::string_view(name) == "security.capability") &&
          (kind == AE_IFREG || kind == AE_IFDIR)) {
        attributes.xattrs.emplace_back(name, std::string(static_cast<const char*>(value), size));
      }
    }
    return attributes;
  }

  absl::Status Content(int fd, const std::string& path, int64_t size) {
    int64_t end = 0;
    while (true) {
      if (unpack_.is_cancelled()) return absl::CancelledError("the import was cancelled");
      const void* block = nullptr;
      size_t length = 0;
      la_int64_t offset = 0;
      const int result = archive_read_data_block(reader_, &block, &length, &offset);
      if (result == ARCHIVE_EOF) break;
      if (result != ARCHIVE_OK && result != ARCHIVE_WARN) return ArchiveError();
      RETURN_IF_ERROR(Account(static_cast<int64_t>(length)));
      RETURN_IF_ERROR(Write(fd, path, static_cast<const char*>(block), length, offset));
      bytes_ += static_cast<int64_t>(length);
      end = std::max<int64_t>(end, offset + static_cast<int64_t>(length));
    }
    if (size > end && ftruncate(fd, size) != 0) {  // it ends with a hole
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot size ", absl::CHexEscape(path)));
    }
    // The layer is synced as a whole at its end: the disk may begin now. A hint, nothing more.
    if (end >= kWorthBeginning) sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    return absl::OkStatus();
  }

  static absl::Status Write(int fd, const std::string& path, const char* data, size_t length,
                            int64_t offset) {
    while (length > 0) {
      const ssize_t written = pwrite(fd, data, length, offset);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) {
        if (errno == ENOSPC || errno == EDQUOT) {
          return absl::ResourceExhaustedError(
              absl::StrCat("the disk is full: \"", absl::CHexEscape(path),
                           "\" does not fit; make room, or use a smaller image"));
        }
        return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", absl::CHexEscape(path)));
      }
      data += written;
      length -= static_cast<size_t>(written);
      offset += written;
    }
    return absl::OkStatus();
  }

  // Notes that this layer brings `path`, and so all directories above it.
  void Touch(const std::string& path) {
    if (unpack_.layers.empty()) return;
    std::string each = path;
    while (touched_.insert(each).second && !each.empty()) {
      const size_t slash = each.rfind('/');
      each.resize(slash == std::string::npos ? 0 : slash);
    }
  }

  // A whiteout is about the layers below, wherever it stands in the archive: what this layer itself
  // brings stays.
  absl::Status Hide(const std::string& path) {
    if (unpack_.layers.empty()) return absl::OkStatus();
    if (touched_.contains(path)) return HideChildren(path);
    return tree_.Remove(path);
  }

  absl::Status HideChildren(const std::string& directory) {
    if (unpack_.layers.empty()) return absl::OkStatus();
    ASSIGN_OR_RETURN(const std::vector<std::string> names, tree_.Children(directory));
    for (const std::string& name : names) RETURN_IF_ERROR(Hide(Joined(directory, name)));
    return absl::OkStatus();
  }

  const LayerUnpack& unpack_;
  archive* const reader_;
  LayerTree tree_;
  int64_t bytes_ = 0;
  int64_t accounted_ = 0;
  std::unordered_set<std::string> touched_;
};

}  // namespace

absl::StatusOr<int64_t> UnpackLayer(const LayerUnpack& unpack) {
  const Utf8Names names;
  UniqueFd root;
  if (unpack.layers.empty()) {
    root.Reset(open(unpack.upper.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!root.is_open()) return absl::ErrnoToStatus(errno, absl::StrCat("open ", unpack.upper));
  } else {
    ASSIGN_OR_RETURN(root, MountOverlay({.layers = unpack.layers,
                                         .upper = unpack.upper,
                                         .work = unpack.work,
                                         .empty_directory = unpack.empty_directory}));
  }
  Decompressor bytes(unpack.archive_fd);
  const std::unique_ptr<archive, int (*)(archive*)> reader(archive_read_new(), archive_read_free);
  if (reader == nullptr) return absl::ResourceExhaustedError("no memory for an archive");
  archive_read_support_format_tar(reader.get());
  archive_read_support_format_empty(reader.get());
  if (archive_read_open(reader.get(), &bytes, nullptr, ReadDecompressed, nullptr) != ARCHIVE_OK) {
    const char* text = archive_error_string(reader.get());
    return absl::InvalidArgumentError(absl::StrCat("the layer is no tar archive: ",
                                                   absl::CHexEscape(text == nullptr ? "" : text)));
  }
  Unpacking unpacking(unpack, reader.get(), root.get());
  RETURN_IF_ERROR(unpacking.Run());
  return unpacking.bytes();
}

}  // namespace contree
