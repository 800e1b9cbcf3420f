#ifndef LOCAL_BACKEND_IMAGES_USE_TABLE_H_
#define LOCAL_BACKEND_IMAGES_USE_TABLE_H_

// Who uses what of a store in this process, so that nothing is removed from under anybody: names of
// images and layers, each with a count of its users. Thread-safe.
//
// Looking a name up in the database and using it are two steps, and a removal may come between. So
// a reader asks for the generation first, then reads, then uses; the use fails where a removal has
// begun or ended since, and the reader reads again.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace contree {

// Whoever holds a copy uses the names that it was made for. It may outlive the table.
using Lease = std::shared_ptr<const void>;

class UseTable {
 public:
  UseTable();

  int64_t generation() const;

  // Aborted: a removal has begun or ended since `generation`; what was read may be gone. NotFound:
  // one of the names is being removed.
  absl::StatusOr<Lease> Use(const std::vector<std::string>& names, int64_t generation);
  // Of what cannot be removed now: it was just made, or the caller uses it already.
  Lease Hold(const std::vector<std::string>& names);

  // Names that nobody uses, and nobody can use while this lives.
  class Removal;
  // Those of `candidates` that nobody uses.
  Removal BeginRemoval(const std::vector<std::string>& candidates);

 private:
  struct State;
  class Holder;

  const std::shared_ptr<State> state_;
};

class UseTable::Removal {
 public:
  Removal(Removal&&) = default;
  Removal& operator=(Removal&&) = delete;
  ~Removal();
  const std::vector<std::string>& names() const { return names_; }

 private:
  friend class UseTable;
  Removal(std::shared_ptr<State> state, std::vector<std::string> names)
      : state_(std::move(state)), names_(std::move(names)) {}

  std::shared_ptr<State> state_;  // null: moved from
  std::vector<std::string> names_;
};

}  // namespace contree

#endif  // LOCAL_BACKEND_IMAGES_USE_TABLE_H_
