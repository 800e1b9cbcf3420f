#ifndef LOCAL_BACKEND_SANDBOX_STDIN_FEED_H_
#define LOCAL_BACKEND_SANDBOX_STDIN_FEED_H_

#include <cstddef>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"

namespace contree {

// What is on its way to the stdin of a process: written to a pipe as that takes it. Thread-safe.
class StdinFeed {
 public:
  // With `stays_open` more may come by Add, else `bytes` are all.
  StdinFeed(std::string bytes, bool stays_open);

  // FailedPrecondition: nothing more can come. ResourceExhausted: too much waits already.
  absl::Status Add(absl::string_view bytes, bool and_end);

  enum class Progress {
    kWaits,  // the pipe is full
    kIdle,   // all was written, and more may come
    kEnded,  // there is nothing more to write, or the process does not want it
  };
  // Writes to the pipe, which does not block, what it takes.
  Progress WriteTo(int pipe);

  // Nothing more is written.
  void End();

 private:
  absl::Mutex mutex_;
  std::string bytes_ ABSL_GUARDED_BY(mutex_);
  size_t written_ ABSL_GUARDED_BY(mutex_) = 0;  // of bytes_
  bool ends_ ABSL_GUARDED_BY(mutex_);           // once all is written
};

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_STDIN_FEED_H_
