#ifndef LOCAL_BACKEND_SANDBOX_DISK_USAGE_H_
#define LOCAL_BACKEND_SANDBOX_DISK_USAGE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace contree {

// The bytes on disk of all in `directory`, which somebody may be changing meanwhile, at any depth;
// what cannot be read counts nothing. Stops counting above `enough`. Thread-safe.
int64_t DiskUsage(const std::string& directory, int64_t enough);

// Looks at directories now and then, on a thread of its own, until it finds one too large.
// Thread-safe.
class DiskWatch {
 public:
  DiskWatch() = default;
  ~DiskWatch() { Stop(); }
  DiskWatch(const DiskWatch&) = delete;
  DiskWatch& operator=(const DiskWatch&) = delete;

  using Id = int64_t;
  // Calls `too_large` once when there are more than `limit` bytes in it, on that thread: with how
  // many. The first look is a moment from now.
  Id Add(const std::string& directory, int64_t limit, std::function<void(int64_t)> too_large);
  // The directory is not looked at after the look that may be going on now, and may be removed
  // meanwhile.
  void Remove(Id id);

  // Nothing is called afterwards. Idempotent.
  void Stop();

 private:
  struct Entry {
    std::string directory;
    int64_t limit;
    std::function<void(int64_t)> too_large;
    absl::Time next_look;
  };

  void Run();

  absl::Mutex mutex_;
  absl::CondVar changed_;
  std::map<Id, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  Id last_id_ ABSL_GUARDED_BY(mutex_) = 0;
  bool ends_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_ ABSL_GUARDED_BY(mutex_);  // once there is something to look at
};

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_DISK_USAGE_H_
