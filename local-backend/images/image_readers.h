#ifndef LOCAL_BACKEND_IMAGES_IMAGE_READERS_H_
#define LOCAL_BACKEND_IMAGES_IMAGE_READERS_H_

// The images that were looked into last, still mounted: whoever lists one directory lists another,
// and the kernel keeps what it has looked up as long as the mount is there. Thread-safe.

#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "local-backend/images/image_reader.h"
#include "local-backend/images/use_table.h"

namespace contree {

class ImageReaders {
 public:
  explicit ImageReaders(std::string empty_directory)
      : empty_directory_(std::move(empty_directory)) {}

  // `lease` keeps the layers, and is kept until the reader is forgotten. Errors: as
  // ImageReader::Open.
  absl::StatusOr<std::shared_ptr<const ImageReader>> Open(const std::vector<std::string>& layers,
                                                          Lease lease);

  // Forgets all, and what they hold; those in use live until their users are done.
  void Clear();

 private:
  using ReaderRef = std::shared_ptr<const ImageReader>;
  using Entry = std::pair<std::vector<std::string>, ReaderRef>;

  const std::string empty_directory_;
  absl::Mutex mutex_;
  std::list<Entry> entries_ ABSL_GUARDED_BY(mutex_);  // by layers, the last used first
};

}  // namespace contree

#endif  // LOCAL_BACKEND_IMAGES_IMAGE_READERS_H_
