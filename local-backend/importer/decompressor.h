#ifndef LOCAL_BACKEND_IMPORTER_DECOMPRESSOR_H_
#define LOCAL_BACKEND_IMPORTER_DECOMPRESSOR_H_

// Unpacks gzip or zstd (or passes on what is neither) on a thread of its own, a few pieces ahead of
// whoever takes them: what takes most of an import's time happens beside the making of files.
// Used by one thread.

#include <cstddef>
#include <deque>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"

namespace contree {

class Decompressor {
 public:
  // Reads `fd`, which outlives it, from its current place to its end.
  explicit Decompressor(int fd);
  ~Decompressor();  // ends the thread
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;

  // The next bytes, good until the next call; empty at the end. InvalidArgument: damaged.
  absl::StatusOr<absl::string_view> Next();

 private:
  void Run(int fd);
  absl::Status Unpack(int fd);
  // False: nobody wants more.
  bool Give(std::string piece);

  std::string current_;
  absl::Mutex mutex_;
  absl::CondVar changed_;
  std::deque<std::string> pieces_ ABSL_GUARDED_BY(mutex_);
  bool is_at_end_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status end_ ABSL_GUARDED_BY(mutex_);
  bool is_unwanted_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace contree

#endif  // LOCAL_BACKEND_IMPORTER_DECOMPRESSOR_H_
