#include "local-backend/images/image_readers.h"

#include <iterator>

#include "common/status/status_macros.h"

namespace contree {
namespace {

constexpr size_t kMaxReaders = 8;

}  // namespace

absl::StatusOr<std::shared_ptr<const ImageReader>> ImageReaders::Open(
    const std::vector<std::string>& layers, Lease lease) {
  {
    const absl::MutexLock lock(&mutex_);
    for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
      if (entry->first != layers) continue;
      entries_.splice(entries_.begin(), entries_, entry);
      return entry->second;
    }
  }
  ASSIGN_OR_RETURN(ImageReader opened,
                   ImageReader::Open(layers, empty_directory_, std::move(lease)));
  auto reader = std::make_shared<const ImageReader>(std::move(opened));
  std::list<Entry> forgotten;  // unmounted without the lock
  const absl::MutexLock lock(&mutex_);
  entries_.emplace_front(layers, reader);
  if (entries_.size() > kMaxReaders) {
    forgotten.splice(forgotten.begin(), entries_, std::prev(entries_.end()));
  }
  return reader;
}

void ImageReaders::Clear() {
  std::list<Entry> forgotten;
  const absl::MutexLock lock(&mutex_);
  forgotten.swap(entries_);
}

}  // namespace contree
