#include "local-backend/images/use_table.h"

#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"

namespace contree {

struct UseTable::State {
  absl::Mutex mutex;
  std::unordered_map<std::string, int> users ABSL_GUARDED_BY(mutex);
  std::unordered_set<std::string> going ABSL_GUARDED_BY(mutex);
  int64_t generation ABSL_GUARDED_BY(mutex) = 0;
};

// What a lease points to.
class UseTable::Holder {
 public:
  // The names have been counted.
  Holder(std::shared_ptr<State> state, std::vector<std::string> names)
      : state_(std::move(state)), names_(std::move(names)) {}
  ~Holder() {
    const absl::MutexLock lock(&state_->mutex);
    for (const std::string& name : names_) {
      const auto found = state_->users.find(name);
      if (--found->second == 0) state_->users.erase(found);
    }
  }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;

 private:
  const std::shared_ptr<State> state_;
  const std::vector<std::string> names_;
};

UseTable::UseTable() : state_(std::make_shared<State>()) {}

int64_t UseTable::generation() const {
  const absl::MutexLock lock(&state_->mutex);
  return state_->generation;
}

absl::StatusOr<Lease> UseTable::Use(const std::vector<std::string>& names, int64_t generation) {
  {
    const absl::MutexLock lock(&state_->mutex);
    if (generation != state_->generation) return absl::AbortedError("something was removed");
    for (const std::string& name : names) {
      if (state_->going.contains(name)) {
        return absl::NotFoundError(absl::StrCat(name, " is being removed"));
      }
    }
    for (const std::string& name : names) ++state_->users[name];
  }
  return std::make_shared<Holder>(state_, names);
}

Lease UseTable::Hold(const std::vector<std::string>& names) {
  {
    const absl::MutexLock lock(&state_->mutex);
    for (const std::string& name : names) ++state_->users[name];
  }
  return std::make_shared<Holder>(state_, names);
}

UseTable::Removal UseTable::BeginRemoval(const std::vector<std::string>& candidates) {
  std::vector<std::string> names;
  const absl::MutexLock lock(&state_->mutex);
  for (const std::string& name : candidates) {
    if (!state_->users.contains(name) && state_->going.insert(name).second) names.push_back(name);
  }
  ++state_->generation;
  return {state_, std::move(names)};
}

UseTable::Removal::~Removal() {
  if (state_ == nullptr) return;
  const absl::MutexLock lock(&state_->mutex);
  for (const std::string& name : names_) state_->going.erase(name);
  ++state_->generation;
}

}  // namespace contree
