#ifndef LOCAL_BACKEND_OPERATIONS_FAIR_QUEUE_H_
#define LOCAL_BACKEND_OPERATIONS_FAIR_QUEUE_H_

// What waits for its turn, by whose it is: next comes who has the least running, among those who
// waited longest for a turn of theirs; the items of one come in their order. Not thread-safe.

#include <algorithm>
#include <cstddef>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace contree {

template <typename T>
class FairQueue {
 public:
  void Push(const std::string& owner, T item) {
    std::deque<T>& items = waiting_[owner];
    if (items.empty()) turns_.push_back(owner);
    items.push_back(std::move(item));
    ++size_;
  }

  // Takes the next one, which then counts as running until Done(owner).
  std::optional<T> Pop() {
    if (turns_.empty()) return std::nullopt;
    const auto turn = std::min_element(
        turns_.begin(), turns_.end(),
        [this](const std::string& a, const std::string& b) { return Running(a) < Running(b); });
    const std::string owner = *turn;
    std::deque<T>& items = waiting_[owner];
    T item = std::move(items.front());
    items.pop_front();
    --size_;
    ++running_[owner];
    turns_.erase(turn);
    if (items.empty()) {
      waiting_.erase(owner);
    } else {
      turns_.push_back(owner);
    }
    return item;
  }

  void Done(const std::string& owner) {
    const auto found = running_.find(owner);
    if (found != running_.end() && --found->second == 0) running_.erase(found);
  }

  // Takes this one out; false: it does not wait.
  bool Remove(const std::string& owner, const T& item) {
    const auto found = waiting_.find(owner);
    if (found == waiting_.end()) return false;
    const auto place = std::find(found->second.begin(), found->second.end(), item);
    if (place == found->second.end()) return false;
    found->second.erase(place);
    --size_;
    if (found->second.empty()) {
      waiting_.erase(found);
      turns_.remove(owner);
    }
    return true;
  }

  // Takes all out.
  std::vector<T> Clear() {
    std::vector<T> items;
    for (auto& [owner, queue] : waiting_) {
      items.insert(items.end(), queue.begin(), queue.end());
    }
    waiting_.clear();
    turns_.clear();
    size_ = 0;
    return items;
  }

  size_t size() const { return size_; }
  size_t size(const std::string& owner) const {
    const auto found = waiting_.find(owner);
    return found == waiting_.end() ? 0 : found->second.size();
  }

 private:
  int Running(const std::string& owner) const {
    const auto found = running_.find(owner);
    return found == running_.end() ? 0 : found->second;
  }

  std::map<std::string, std::deque<T>> waiting_;  // none is empty
  std::list<std::string> turns_;                  // the owners of waiting_
  std::map<std::string, int> running_;
  size_t size_ = 0;
};

}  // namespace contree

#endif  // LOCAL_BACKEND_OPERATIONS_FAIR_QUEUE_H_
