#ifndef LOCAL_BACKEND_UPKEEP_UPKEEP_H_
#define LOCAL_BACKEND_UPKEEP_UPKEEP_H_

// Removes what is not needed any more, at the start, daily, and when space is short; sees that
// uploaded files reach the disk. Thread-safe.

#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "local-backend/files/file_store.h"
#include "local-backend/images/image_store.h"
#include "local-backend/operations/operation_store.h"
#include "local-backend/upkeep/disk_budget.h"

namespace contree {

class Upkeep {
 public:
  struct Options {
    // Images without a tag, uploaded files and records of operations stay so long after they were
    // made or used last. Infinite: forever, unless space is short.
    absl::Duration keep = absl::InfiniteDuration();
  };

  // All of these outlive it. Begins at once, on a thread of its own.
  Upkeep(const Options& options, ImageStore& images, FileStore& files, OperationStore& operations,
         DiskBudget& budget);
  ~Upkeep();

  // For DiskBudget::OnShortage: removes, the longest unused first, until there is some space again.
  // What was used within the last hours stays.
  void MakeRoom();

 private:
  void Loop();
  void RemoveOld();

  const Options options_;
  ImageStore& images_;
  FileStore& files_;
  OperationStore& operations_;
  DiskBudget& budget_;
  absl::Mutex mutex_;
  bool ends_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace contree

#endif  // LOCAL_BACKEND_UPKEEP_UPKEEP_H_
