#ifndef CONTREE_SERVICE_CACHE_BYTE_BOUNDED_CACHE_H_
#define CONTREE_SERVICE_CACHE_BYTE_BOUNDED_CACHE_H_

// Values that never change once they are known, by their names: the least recently used go when the
// bound on their bytes is reached. For what is immutable only: nothing here ever expires.

#include <cstddef>
#include <iterator>
#include <list>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"

namespace contree {

// Thread-safe. A value that was given out lives as long as somebody holds it.
template <typename Value>
class ByteBoundedCache {
 public:
  explicit ByteBoundedCache(size_t max_bytes) : max_bytes_(max_bytes) {}

  // nullptr: not here.
  std::shared_ptr<const Value> Find(absl::string_view key) {
    absl::MutexLock lock(&mutex_);
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return found->second->value;
  }

  // `bytes`: what the value takes. One that alone is larger than the bound is not kept; a key that
  // is here keeps its value.
  void Put(std::string key, std::shared_ptr<const Value> value, size_t bytes) {
    bytes += key.size() + kEntryBytes;
    if (bytes > max_bytes_) return;
    std::list<Entry> dropped;  // freed after the lock is gone
    absl::MutexLock lock(&mutex_);
    if (by_key_.contains(key)) return;
    entries_.push_front({.key = std::move(key), .value = std::move(value), .bytes = bytes});
    by_key_.emplace(entries_.front().key, entries_.begin());
    bytes_ += bytes;
    while (bytes_ > max_bytes_) {
      const auto oldest = std::prev(entries_.end());
      bytes_ -= oldest->bytes;
      by_key_.erase(oldest->key);
      dropped.splice(dropped.begin(), entries_, oldest);
    }
  }

  size_t bytes() const {
    absl::MutexLock lock(&mutex_);
    return bytes_;
  }

 private:
  // What the list, the map and the shared pointer take beside key and value.
  static constexpr size_t kEntryBytes = 160;

  struct Entry {
    std::string key;
    std::shared_ptr<const Value> value;
    size_t bytes;
  };

  const size_t max_bytes_;
  mutable absl::Mutex mutex_;
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::list<Entry> entries_ ABSL_GUARDED_BY(mutex_);  // the most recently used first
  // The keys are those of the entries.
  absl::flat_hash_map<absl::string_view, typename std::list<Entry>::iterator> by_key_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace contree

#endif  // CONTREE_SERVICE_CACHE_BYTE_BOUNDED_CACHE_H_
