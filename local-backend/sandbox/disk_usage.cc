#include "local-backend/sandbox/disk_usage.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "common/files/unique_fd.h"

namespace contree {
namespace {

// Between two looks at a directory; and looking takes at most one part in so many of the time.
constexpr absl::Duration kInterval = absl::Milliseconds(200);
constexpr int kShare = 20;

using Identity = std::pair<dev_t, ino_t>;

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};

struct Level {
  Identity directory;
  std::vector<std::string> directories;  // in it, still to be visited
};

class Counter {
 public:
  explicit Counter(int64_t enough) : enough_(enough) {}

  // Adds what is in the directory itself.
  Level Count(int directory) {
    Level level;
    struct stat info;
    if (fstat(directory, &info) == 0) level.directory = {info.st_dev, info.st_ino};
    const std::unique_ptr<DIR, CloseDirectory> stream(
        fdopendir(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
    while (stream != nullptr && bytes_ <= enough_) {
      const dirent* found = readdir(stream.get());
      if (found == nullptr) break;
      if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0) continue;
      if (fstatat(directory, found->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
      if (S_ISDIR(info.st_mode)) {
        level.directories.emplace_back(found->d_name);
      } else if (info.st_nlink > 1 && !linked_.insert({info.st_dev, info.st_ino}).second) {
        continue;
      }
      bytes_ += static_cast<int64_t>(info.st_blocks) * 512;
    }
    return level;
  }

  int64_t bytes() const { return bytes_; }
  bool is_enough() const { return bytes_ > enough_; }

 private:
  const int64_t enough_;
  int64_t bytes_ = 0;
  std::set<Identity> linked_;
};

UniqueFd OpenDirectory(int at, const char* name) {
  return UniqueFd(openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

}  // namespace

int64_t DiskUsage(const std::string& directory, int64_t enough) {
  Counter counter(enough);
  UniqueFd here = OpenDirectory(AT_FDCWD, directory.c_str());
  if (!here.is_open()) return 0;
  // One descriptor however deep it goes: the way back is "..", if it still leads there.
  std::vector<Level> levels = {counter.Count(here.get())};
  while (!counter.is_enough()) {
    Level& level = levels.back();
    if (!level.directories.empty()) {
      const std::string name = std::move(level.directories.back());
      level.directories.pop_back();
      UniqueFd below = OpenDirectory(here.get(), name.c_str());
      if (!below.is_open()) continue;
      here = std::move(below);
      levels.push_back(counter.Count(here.get()));
      continue;
    }
    levels.pop_back();
    if (levels.empty()) break;
    here = OpenDirectory(here.get(), "..");
    struct stat info;
    if (!here.is_open() || fstat(here.get(), &info) != 0 ||
        Identity{info.st_dev, info.st_ino} != levels.back().directory) {
      break;  // moved meanwhile
    }
  }
  return counter.bytes();
}

void DiskWatch::Stop() {
  std::thread thread;
  {
    const absl::MutexLock lock(&mutex_);
    ends_ = true;
    changed_.SignalAll();
    thread = std::move(thread_);
  }
  if (thread.joinable()) thread.join();
}

DiskWatch::Id DiskWatch::Add(const std::string& directory, int64_t limit,
                             std::function<void(int64_t)> too_large) {
  const absl::MutexLock lock(&mutex_);
  entries_[++last_id_] = {.directory = directory,
                          .limit = limit,
                          .too_large = std::move(too_large),
                          .next_look = absl::Now() + kInterval};
  if (!thread_.joinable() && !ends_) thread_ = std::thread([this] { Run(); });
  // The first of them: nobody else's time comes before.
  if (entries_.size() == 1) changed_.SignalAll();
  return last_id_;
}

void DiskWatch::Remove(Id id) {
  const absl::MutexLock lock(&mutex_);
  entries_.erase(id);
}

void DiskWatch::Run() {
  const absl::MutexLock lock(&mutex_);
  while (!ends_) {
    auto next = entries_.begin();
    for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
      if (entry->second.next_look < next->second.next_look) next = entry;
    }
    if (next == entries_.end()) {
      changed_.Wait(&mutex_);
      continue;
    }
    const absl::Time began = absl::Now();
    if (next->second.next_look > began) {
      changed_.WaitWithDeadline(&mutex_, next->second.next_look);
      continue;
    }
    const Id id = next->first;
    const std::string directory = next->second.directory;
    const int64_t limit = next->second.limit;
    mutex_.Unlock();
    const int64_t bytes = DiskUsage(directory, limit);
    mutex_.Lock();
    const auto looked_at = entries_.find(id);
    if (looked_at == entries_.end()) continue;
    const absl::Time now = absl::Now();
    looked_at->second.next_look = now + std::max(kInterval, (now - began) * kShare);
    if (bytes <= limit) continue;
    const std::function<void(int64_t)> too_large = std::move(looked_at->second.too_large);
    entries_.erase(looked_at);
    mutex_.Unlock();
    too_large(bytes);
    mutex_.Lock();
  }
}

}  // namespace contree
