#ifndef COMMON_SQLITE_DATABASE_H_
#define COMMON_SQLITE_DATABASE_H_

// SQLite as this project uses it: WAL, one writer connection, a pool of readers, append-only
// migrations counted in PRAGMA user_version. A store class owns one Database and keeps all SQL to
// itself.
//
// Thread-safe. Connection, Row and the values that they give belong to the call that hands them
// out.

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace contree::sqlite {

// A value of a parameter. Blob keeps bytes apart from text.
struct Blob {
  absl::string_view bytes;
};
using Value = std::variant<std::nullptr_t, int64_t, double, absl::string_view, Blob>;

// One row of a result; columns count from 0. Text and blobs live until the callback returns.
class Row {
 public:
  virtual bool IsNull(int column) const = 0;
  virtual int64_t Int(int column) const = 0;
  virtual double Real(int column) const = 0;
  virtual absl::string_view Text(int column) const = 0;  // also for blobs
  std::string String(int column) const { return std::string(Text(column)); }
  bool Bool(int column) const { return Int(column) != 0; }

 protected:
  ~Row() = default;
};

class Connection {
 public:
  virtual ~Connection() = default;

  // Runs one statement with its `?` parameters and no rows. Returns how many rows it changed.
  // AlreadyExists: a uniqueness constraint. FailedPrecondition: another constraint. Internal: wrong
  // SQL. Unavailable: the database stayed locked by another process. DataLoss: the file is damaged.
  virtual absl::StatusOr<int64_t> Execute(absl::string_view sql,
                                          std::initializer_list<Value> parameters = {}) = 0;

  // Runs one query and hands each row to `each`. Same errors.
  virtual absl::Status Query(absl::string_view sql, std::initializer_list<Value> parameters,
                             absl::FunctionRef<void(const Row&)> each) = 0;
};

enum class Durability {
  kNormal,  // a power cut may lose the newest transactions: for what can be had again
  kFull,    // a committed transaction survives a power cut: for what cannot
};

enum class OnCorruption {
  kRefuse,    // the store is not a cache: stop and say how to restore it
  kSetAside,  // the store is a cache: rename it to FILE.corrupt-N and start empty
};

struct Options {
  std::string path;  // ":memory:" is for tests: one connection for everything
  absl::Span<const absl::string_view>
      migrations;  // number i brings version i to i + 1; never edited, only appended
  Durability durability = Durability::kNormal;
  OnCorruption on_corruption = OnCorruption::kRefuse;
  int readers = 4;
};

class Database {
 public:
  // Opens or makes the file (0600), and migrates it in one transaction per step.
  // FailedPrecondition: a newer version of the program wrote it. DataLoss: damaged, under kRefuse.
  static absl::StatusOr<std::unique_ptr<Database>> Open(const Options& options);
  virtual ~Database() = default;

  // Runs `body` in one write transaction, alone among writers: committed if it returns OK, else
  // rolled back and the error returned. `body` must not call the Database again.
  virtual absl::Status Write(absl::FunctionRef<absl::Status(Connection&)> body) = 0;

  // Runs `body` on a reader of the pool, waiting for one if all are busy. It sees one snapshot per
  // query.
  virtual absl::Status Read(absl::FunctionRef<absl::Status(Connection&)> body) = 0;
};

// For a cache whose damage shows after it was opened: renames the file to FILE.corrupt-N, so that
// opening it makes an empty one. Whoever has it open keeps the damaged one.
absl::Status SetAside(const std::string& path);

}  // namespace contree::sqlite

#endif  // COMMON_SQLITE_DATABASE_H_
