#include "local-backend/importer/decompressor.h"

#include <archive.h>
#include <archive_entry.h>

#include <memory>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace contree {
namespace {

constexpr size_t kReadBlock = 256 * 1024;
constexpr size_t kPiece = 256 * 1024;
constexpr size_t kMaxAhead = 8;  // pieces

absl::Status Damaged(archive* reader) {
  const char* text = archive_error_string(reader);
  return absl::InvalidArgumentError(absl::CHexEscape(text == nullptr ? "" : text));
}

}  // namespace

Decompressor::Decompressor(int fd) : thread_([this, fd] { Run(fd); }) {}

Decompressor::~Decompressor() {
  {
    absl::MutexLock lock(&mutex_);
    is_unwanted_ = true;
    changed_.SignalAll();
  }
  thread_.join();
}

absl::StatusOr<absl::string_view> Decompressor::Next() {
  absl::MutexLock lock(&mutex_);
  while (pieces_.empty() && !is_at_end_) changed_.Wait(&mutex_);
  if (pieces_.empty()) {
    if (!end_.ok()) return end_;
    return absl::string_view();
  }
  current_ = std::move(pieces_.front());
  pieces_.pop_front();
  changed_.SignalAll();
  return current_;
}

void Decompressor::Run(int fd) {
  absl::Status end = Unpack(fd);
  absl::MutexLock lock(&mutex_);
  end_ = std::move(end);
  is_at_end_ = true;
  changed_.SignalAll();
}

absl::Status Decompressor::Unpack(int fd) {
  const std::unique_ptr<archive, int (*)(archive*)> reader(archive_read_new(), archive_read_free);
  if (reader == nullptr) return absl::ResourceExhaustedError("no memory");
  // By name: the filter "all" starts programs of the system for some formats.
  archive_read_support_filter_gzip(reader.get());
  archive_read_support_filter_zstd(reader.get());
  archive_read_support_format_raw(reader.get());
  archive_read_support_format_empty(reader.get());
  if (archive_read_open_fd(reader.get(), fd, kReadBlock) != ARCHIVE_OK) {
    return Damaged(reader.get());
  }
  archive_entry* entry = nullptr;
  const int header = archive_read_next_header(reader.get(), &entry);
  if (header == ARCHIVE_EOF) return absl::OkStatus();
  if (header != ARCHIVE_OK && header != ARCHIVE_WARN) return Damaged(reader.get());
  while (true) {
    std::string piece(kPiece, '\0');
    const la_ssize_t got = archive_read_data(reader.get(), piece.data(), piece.size());
    if (got < 0) return Damaged(reader.get());
    if (got == 0) return absl::OkStatus();
    piece.resize(static_cast<size_t>(got));
    if (!Give(std::move(piece))) return absl::OkStatus();
  }
}

bool Decompressor::Give(std::string piece) {
  absl::MutexLock lock(&mutex_);
  while (pieces_.size() >= kMaxAhead && !is_unwanted_) changed_.Wait(&mutex_);
  if (is_unwanted_) return false;
  pieces_.push_back(std::move(piece));
  changed_.SignalAll();
  return true;
}

}  // namespace contree
