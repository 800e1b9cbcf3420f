#include "standalone/client_config/config_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/files/state_directory.h"
#include "common/files/unique_fd.h"
#include "common/status/status_macros.h"

namespace contree::standalone {
namespace {

constexpr size_t kMaxBytes = 32 << 20;

absl::Status MakeDirectories(const std::filesystem::path& directory) {
  std::filesystem::path made;
  for (const auto& part : directory) {
    made /= part;
    if (mkdir(made.c_str(), 0700) != 0 && errno != EEXIST) {
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot make the directory ", made.string()));
    }
  }
  return absl::OkStatus();
}

// A new file with this content, on the disk. AlreadyExists.
absl::Status WriteNew(const std::string& path, absl::string_view content, const ConfigFile& like) {
  const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd.is_open()) return absl::ErrnoToStatus(errno, absl::StrCat("cannot make ", path));
  while (!content.empty()) {
    const ssize_t written = write(fd.get(), content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path));
    content.remove_prefix(static_cast<size_t>(written));
  }
  if (like.exists && (like.owner != geteuid() || like.group != getegid()) &&
      fchown(fd.get(), like.owner, like.group) != 0 && like.owner != geteuid()) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot give ", path, " to its owner"));
  }
  if (fchmod(fd.get(), like.mode) != 0 || fsync(fd.get()) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path));
  }
  return absl::OkStatus();
}

// A name beside the file that is not taken yet.
absl::StatusOr<std::string> WriteBackup(const ConfigFile& read) {
  const std::string stem = absl::StrCat(
      read.path, ".", absl::FormatTime("%Y%m%dT%H%M%SZ", absl::Now(), absl::UTCTimeZone()));
  for (int i = 1; i < 100; ++i) {
    const std::string path = absl::StrCat(stem, i == 1 ? "" : absl::StrCat("-", i), ".bak");
    const absl::Status status = WriteNew(path, read.text, read);
    if (status.ok()) return path;
    if (!absl::IsAlreadyExists(status)) return status;
  }
  return absl::AlreadyExistsError(absl::StrCat("too many files ", stem, "*.bak"));
}

}  // namespace

absl::StatusOr<ConfigFile> ReadConfigFile(const std::string& path) {
  ConfigFile file{.path = path};
  struct stat info;
  if (stat(path.c_str(), &info) != 0) {
    if (errno != ENOENT) return absl::ErrnoToStatus(errno, absl::StrCat("cannot look at ", path));
    if (lstat(path.c_str(), &info) == 0) {
      return absl::FailedPreconditionError(absl::StrCat(
          path, " is a link to a file that is not there: make that file, or remove the link"));
    }
    return file;
  }
  if (!S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(path, " is no regular file"));
  }
  char* real = realpath(path.c_str(), nullptr);
  if (real == nullptr) return absl::ErrnoToStatus(errno, absl::StrCat("cannot resolve ", path));
  file.path = real;
  free(real);
  absl::StatusOr<std::string> text = ReadFile(path, kMaxBytes);
  if (absl::IsResourceExhausted(text.status())) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is larger than ", kMaxBytes >> 20, " MiB: change it yourself"));
  }
  if (!text.ok()) return text.status();
  file.text = *std::move(text);
  file.exists = true;
  file.mode = info.st_mode & 0777;
  file.owner = info.st_uid;
  file.group = info.st_gid;
  return file;
}

absl::StatusOr<std::string> ReplaceConfigFile(const ConfigFile& read, absl::string_view text) {
  // Renaming over it would work; but who took the right to write away meant it.
  if (read.exists && ((read.mode & 0222) == 0 || access(read.path.c_str(), W_OK) != 0)) {
    return absl::FailedPreconditionError(
        absl::StrCat(read.path, " is read-only: allow writing (chmod u+w ", read.path,
                     ") or change it yourself (--print shows what belongs there)"));
  }
  RETURN_IF_ERROR(MakeDirectories(std::filesystem::path(read.path).parent_path()));
  std::string backup;
  if (read.exists) {
    ASSIGN_OR_RETURN(backup, WriteBackup(read));
  }
  const std::string fresh = absl::StrCat(read.path, ".", getpid(), ".new");
  unlink(fresh.c_str());
  absl::Cleanup remove_fresh = [&fresh] { unlink(fresh.c_str()); };
  absl::Cleanup remove_backup = [&backup] { unlink(backup.c_str()); };
  RETURN_IF_ERROR(WriteNew(fresh, text, read));
  ASSIGN_OR_RETURN(const ConfigFile now, ReadConfigFile(read.path));
  if (now.exists != read.exists || now.text != read.text) {
    return absl::AbortedError(absl::StrCat(
        read.path, " was changed by another program meanwhile; nothing was written: try again"));
  }
  if (rename(fresh.c_str(), read.path.c_str()) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot replace ", read.path));
  }
  std::move(remove_fresh).Cancel();
  std::move(remove_backup).Cancel();
  return backup;
}

}  // namespace contree::standalone
