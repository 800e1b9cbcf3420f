#include "gateway/workspace/atomic_file.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/uuid/uuid.h"

namespace contree::gateway {

absl::StatusOr<std::unique_ptr<AtomicFile>> AtomicFile::Create(HostDestination destination,
                                                               mode_t mode) {
  std::string temporary_name = absl::StrCat(".contree-", NewUuidV7(absl::Now()), ".part");
  UniqueFd fd(openat(destination.directory.get(), temporary_name.c_str(),
                     O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
  const int error = errno;
  std::unique_ptr<AtomicFile> file(
      new AtomicFile(std::move(destination), std::move(temporary_name), std::move(fd)));
  if (file->fd_.is_open()) return file;
  file->temporary_name_.clear();
  return file->SystemError("cannot make a file for", error);
}

AtomicFile::AtomicFile(HostDestination destination, std::string temporary_name, UniqueFd fd)
    : destination_(std::move(destination)),
      temporary_name_(std::move(temporary_name)),
      fd_(std::move(fd)) {}

AtomicFile::~AtomicFile() {
  if (!temporary_name_.empty()) {
    unlinkat(destination_.directory.get(), temporary_name_.c_str(), 0);
  }
}

absl::Status AtomicFile::Write(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd_.get(), bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return SystemError("cannot write", errno);
    }
    bytes.remove_prefix(static_cast<size_t>(written));
    size_ += written;
  }
  return absl::OkStatus();
}

absl::Status AtomicFile::Commit() {
  if (fsync(fd_.get()) != 0) return SystemError("cannot store", errno);
  const int directory = destination_.directory.get();
  if (renameat(directory, temporary_name_.c_str(), directory, destination_.name.c_str()) != 0) {
    return SystemError("cannot put the file in its place at", errno);
  }
  temporary_name_.clear();
  // The file is there; that its name survives a power cut is worth trying, not failing for.
  fsync(directory);
  return absl::OkStatus();
}

absl::Status AtomicFile::SystemError(absl::string_view what, int error) const {
  std::string text = absl::StrCat(what, " '", destination_.path, "': ", strerror(error));
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      absl::StrAppend(&text, " after ", size_,
                      " bytes; nothing was left behind: make room, or choose another destination");
      break;
    case EACCES:
    case EPERM:
    case EROFS:
      absl::StrAppend(&text, "; choose a destination in a directory that this server may write to");
      break;
    default:
      absl::StrAppend(&text, "; nothing was left behind");
  }
  return absl::FailedPreconditionError(text);
}

}  // namespace contree::gateway
