#include "common/sqlite/database.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/node_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/files/unique_fd.h"
#include "common/status/status_context.h"
#include "common/status/status_macros.h"

namespace contree::sqlite {
namespace {

// How long a statement waits for another process (or another connection) to let go of the file.
constexpr int kBusyTimeoutMs = 10'000;

absl::Status ToStatus(const SQLite::Exception& error) {
  const std::string message = absl::StrCat("SQLite: ", error.what());
  switch (error.getErrorCode()) {
    case SQLITE_CONSTRAINT: {
      const int extended = error.getExtendedErrorCode();
      if (extended == SQLITE_CONSTRAINT_UNIQUE || extended == SQLITE_CONSTRAINT_PRIMARYKEY) {
        return absl::AlreadyExistsError(message);
      }
      return absl::FailedPreconditionError(message);
    }
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::UnavailableError(message);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(message);
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(message);
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
      return absl::PermissionDeniedError(message);
    default:
      return absl::InternalError(message);
  }
}

class StatementRow final : public Row {
 public:
  explicit StatementRow(SQLite::Statement& statement) : statement_(statement) {}
  bool IsNull(int column) const override { return statement_.isColumnNull(column); }
  int64_t Int(int column) const override { return statement_.getColumn(column).getInt64(); }
  double Real(int column) const override { return statement_.getColumn(column).getDouble(); }
  absl::string_view Text(int column) const override {
    const SQLite::Column value = statement_.getColumn(column);
    const void* bytes = value.getBlob();  // for text: its bytes, also with NULs inside
    return {static_cast<const char*>(bytes),
            static_cast<size_t>(bytes == nullptr ? 0 : value.getBytes())};
  }

 private:
  SQLite::Statement& statement_;
};

class PreparingConnection final : public Connection {
 public:
  explicit PreparingConnection(const std::string& path)
      : database_(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, kBusyTimeoutMs) {}

  SQLite::Database& database() { return database_; }

  absl::StatusOr<int64_t> Execute(absl::string_view sql,
                                  std::initializer_list<Value> parameters) override {
    RETURN_IF_ERROR(Query(sql, parameters, [](const Row&) {}));
    return sqlite3_changes(database_.getHandle());
  }

  absl::Status Query(absl::string_view sql, std::initializer_list<Value> parameters,
                     absl::FunctionRef<void(const Row&)> each) override {
    try {
      SQLite::Statement& statement = Prepared(sql);
      Rewind rewind(statement);
      int index = 0;
      for (const Value& value : parameters) Bind(statement, ++index, value);
      const StatementRow row(statement);
      while (statement.executeStep()) each(row);
      return absl::OkStatus();
    } catch (const SQLite::Exception& error) {
      return ToStatus(error);
    }
  }

 private:
  // Leaves a cached statement without locks or references to the caller's values, also after an
  // error.
  class Rewind {
   public:
    explicit Rewind(SQLite::Statement& statement) : statement_(statement) {}
    ~Rewind() {
      statement_.tryReset();
      try {
        statement_.clearBindings();
      } catch (const SQLite::Exception&) {
        // Nothing is bound then.
      }
    }
    Rewind(const Rewind&) = delete;
    Rewind& operator=(const Rewind&) = delete;

   private:
    SQLite::Statement& statement_;
  };

  SQLite::Statement& Prepared(absl::string_view sql) {
    auto found = statements_.find(sql);
    if (found == statements_.end()) {
      found = statements_
                  .try_emplace(std::string(sql),
                               std::make_unique<SQLite::Statement>(database_, std::string(sql)))
                  .first;
    }
    return *found->second;
  }

  static void Bind(SQLite::Statement& statement, int index, const Value& value) {
    if (const auto* number = std::get_if<int64_t>(&value)) {
      statement.bind(index, *number);
    } else if (const auto* real = std::get_if<double>(&value)) {
      statement.bind(index, *real);
    } else if (const auto* text = std::get_if<absl::string_view>(&value)) {
      statement.bind(index, std::string(*text));
    } else if (const auto* blob = std::get_if<Blob>(&value)) {
      statement.bind(
          index, static_cast<const void*>(blob->bytes.data() == nullptr ? "" : blob->bytes.data()),
          static_cast<int>(blob->bytes.size()));
    } else {
      statement.bind(index);
    }
  }

  SQLite::Database database_;
  absl::node_hash_map<std::string, std::unique_ptr<SQLite::Statement>> statements_;
};

absl::StatusOr<std::unique_ptr<PreparingConnection>> Connect(const Options& options) {
  try {
    auto connection = std::make_unique<PreparingConnection>(options.path);
    connection->database().exec("PRAGMA journal_mode=WAL");
    connection->database().exec(options.durability == Durability::kFull
                                    ? "PRAGMA synchronous=FULL"
                                    : "PRAGMA synchronous=NORMAL");
    connection->database().exec("PRAGMA foreign_keys=ON");
    connection->database().exec("PRAGMA trusted_schema=OFF");
    return connection;
  } catch (const SQLite::Exception& error) {
    return ToStatus(error);
  }
}

absl::Status Migrate(const Options& options, SQLite::Database& database) {
  const auto newest = static_cast<int>(options.migrations.size());
  try {
    if (database.execAndGet("PRAGMA user_version").getInt() == newest) return absl::OkStatus();
    for (int next = 0; next < newest;) {
      // Read again inside the transaction: another process may have migrated meanwhile.
      SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
      const int version = database.execAndGet("PRAGMA user_version").getInt();
      if (version > newest) break;
      if (version < newest) {
        database.exec(std::string(options.migrations[version]));
        database.exec(absl::StrCat("PRAGMA user_version=", version + 1));
      }
      transaction.commit();
      next = version + 1;
    }
    const int version = database.execAndGet("PRAGMA user_version").getInt();
    if (version > newest) {
      return absl::FailedPreconditionError(absl::StrCat(
          options.path, " was written by a newer version of this program (its schema is version ",
          version, ", this program knows up to ", newest,
          "): run that version, or name another --state-dir"));
    }
    return absl::OkStatus();
  } catch (const SQLite::Exception& error) {
    return ToStatus(error);
  }
}

// SQLite makes files by the umask; these hold other people's business.
absl::Status MakePrivateFile(const std::string& path) {
  const UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.is_open())
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot open the database ", path));
  if (fchmod(fd.get(), 0600) != 0)
    return absl::ErrnoToStatus(errno, absl::StrCat("chmod 0600 ", path));
  return absl::OkStatus();
}

class PooledDatabase final : public Database {
 public:
  PooledDatabase(std::unique_ptr<PreparingConnection> writer,
                 std::vector<std::unique_ptr<PreparingConnection>> readers)
      : writer_(std::move(writer)),
        shares_writer_(readers.empty()),
        idle_readers_(std::move(readers)) {}

  absl::Status Write(absl::FunctionRef<absl::Status(Connection&)> body) override {
    absl::MutexLock lock(&writer_mutex_);
    try {
      SQLite::Transaction transaction(writer_->database(), SQLite::TransactionBehavior::IMMEDIATE);
      RETURN_IF_ERROR(body(*writer_));
      transaction.commit();
      return absl::OkStatus();
    } catch (const SQLite::Exception& error) {
      return ToStatus(error);
    }
  }

  absl::Status Read(absl::FunctionRef<absl::Status(Connection&)> body) override {
    if (shares_writer_) {
      absl::MutexLock lock(&writer_mutex_);
      return InOneMoment(*writer_, body);
    }
    std::unique_ptr<PreparingConnection> reader;
    {
      absl::MutexLock lock(&readers_mutex_);
      readers_mutex_.Await(absl::Condition(this, &PooledDatabase::HasIdleReader));
      reader = std::move(idle_readers_.back());
      idle_readers_.pop_back();
    }
    absl::Status status = InOneMoment(*reader, body);
    absl::MutexLock lock(&readers_mutex_);
    idle_readers_.push_back(std::move(reader));
    return status;
  }

 private:
  // In one transaction: what is read belongs together, and the file is locked once.
  static absl::Status InOneMoment(PreparingConnection& connection,
                                  absl::FunctionRef<absl::Status(Connection&)> body) {
    RETURN_IF_ERROR(connection.Execute("BEGIN", {}).status());
    absl::Status status = body(connection);
    const absl::Status ended = connection.Execute("COMMIT", {}).status();
    if (!ended.ok()) connection.Execute("ROLLBACK", {}).IgnoreError();
    return status.ok() ? ended : status;
  }

  bool HasIdleReader() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(readers_mutex_) {
    return !idle_readers_.empty();
  }

  // Serialises writers of this process, so that they queue fairly instead of polling SQLite's lock.
  absl::Mutex writer_mutex_;
  std::unique_ptr<PreparingConnection> writer_ ABSL_PT_GUARDED_BY(writer_mutex_);
  const bool shares_writer_;
  absl::Mutex readers_mutex_;
  std::vector<std::unique_ptr<PreparingConnection>> idle_readers_ ABSL_GUARDED_BY(readers_mutex_);
};

absl::StatusOr<std::unique_ptr<Database>> OpenOnce(const Options& options) {
  const bool in_memory = options.path == ":memory:";
  if (!in_memory) RETURN_IF_ERROR(MakePrivateFile(options.path));
  ASSIGN_OR_RETURN(auto writer, Connect(options));
  RETURN_IF_ERROR(Migrate(options, writer->database()));
  std::vector<std::unique_ptr<PreparingConnection>> readers;
  for (int i = 0; !in_memory && i < options.readers; ++i) {
    ASSIGN_OR_RETURN(auto reader, Connect(options));
    readers.push_back(std::move(reader));
  }
  return std::make_unique<PooledDatabase>(std::move(writer), std::move(readers));
}

}  // namespace

absl::Status SetAside(const std::string& path) {
  for (int n = 1;; ++n) {
    const std::string target = absl::StrCat(path, ".corrupt-", n);
    if (access(target.c_str(), F_OK) == 0) continue;
    if (rename(path.c_str(), target.c_str()) != 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot set the damaged ", path, " aside"));
    }
    for (const char* suffix : {"-wal", "-shm"}) unlink(absl::StrCat(path, suffix).c_str());
    return absl::OkStatus();
  }
}

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const Options& options) {
  auto database = OpenOnce(options);
  if (database.ok() || !absl::IsDataLoss(database.status())) return database;
  if (options.on_corruption == OnCorruption::kSetAside) {
    RETURN_IF_ERROR(SetAside(options.path));
    return OpenOnce(options);
  }
  return Annotate(database.status(),
                  absl::StrCat(options.path,
                               " is damaged: stop this program, restore the file from a "
                               "backup or move it away to start empty, then start again"));
}

}  // namespace contree::sqlite
