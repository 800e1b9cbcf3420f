#ifndef GATEWAY_TRANSPORT_LINE_IO_H_
#define GATEWAY_TRANSPORT_LINE_IO_H_

// Lines over file descriptors. The descriptors belong to the caller; they may be non-blocking.

#include <optional>
#include <stop_token>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "common/files/unique_fd.h"

namespace contree::gateway {

// Used by one thread.
class LineReader {
 public:
  // Unavailable: no descriptor is left.
  static absl::StatusOr<LineReader> Create(int fd, size_t max_line_bytes);

  // The next line without its end ("\n" or "\r\n"); the last one may lack it. It is valid until the
  // next call. nullopt: the input ended, or `stop` was requested.
  // ResourceExhausted: the line is too long; the next call goes on behind it. Unavailable: reading
  // failed.
  absl::StatusOr<std::optional<absl::string_view>> Next(const std::stop_token& stop);

  // Whether a whole line was read already, so that Next will not wait.
  bool HasLine() const;

 private:
  LineReader(int fd, size_t max_line_bytes, UniqueFd wake);

  // False: the end, or stop.
  absl::StatusOr<bool> Fill(const std::stop_token& stop);

  int fd_;
  size_t max_line_bytes_;
  UniqueFd wake_;  // an eventfd that interrupts waiting
  std::string buffer_;
  size_t begin_ = 0;    // of what was not returned yet
  size_t scanned_ = 0;  // no line end lies before it
  bool skipping_ = false;
  bool ended_ = false;
};

// Thread-safe.
class LineWriter {
 public:
  explicit LineWriter(int fd) : fd_(fd) {}

  // Writes the text and a line end, whole and never mixed with another line.
  // Unavailable: writing failed, now or before.
  absl::Status Write(std::string line);
  // The same for lines that have their ends.
  absl::Status WriteLines(absl::string_view lines);

 private:
  const int fd_;
  // Held while writing: that is what keeps lines whole.
  absl::Mutex mutex_;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace contree::gateway

#endif  // GATEWAY_TRANSPORT_LINE_IO_H_
