#include "common/sqlite/database.h"

#include <sys/stat.h>

#include <fstream>
#include <thread>

#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"

namespace contree::sqlite {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr absl::string_view kMigrations[] = {
    "CREATE TABLE note (name TEXT NOT NULL PRIMARY KEY, body BLOB NOT NULL)",
    "ALTER TABLE note ADD COLUMN size INTEGER NOT NULL DEFAULT 0; UPDATE note SET size = "
    "length(body)",
};

Options OptionsFor(const std::string& path, size_t version = 2) {
  Options options;
  options.path = path;
  options.migrations = absl::MakeConstSpan(kMigrations).first(version);
  return options;
}

absl::Status Insert(Database& database, absl::string_view name, absl::string_view body) {
  return database.Write([&](Connection& connection) {
    return connection.Execute("INSERT INTO note (name, body) VALUES (?, ?)", {name, Blob{body}})
        .status();
  });
}

std::vector<std::string> Names(Database& database) {
  std::vector<std::string> names;
  EXPECT_OK(database.Read([&](Connection& connection) {
    return connection.Query("SELECT name FROM note ORDER BY name", {},
                            [&](const Row& row) { names.push_back(row.String(0)); });
  }));
  return names;
}

TEST(DatabaseTest, KeepsBytesWholeAcrossAReopen) {
  TempDirectory temp;
  const std::string body("a\0b", 3);
  {
    ASSERT_OK_AND_ASSIGN(auto database, Database::Open(OptionsFor(temp.File("db"))));
    ASSERT_OK(Insert(*database, "x", body));
  }
  ASSERT_OK_AND_ASSIGN(auto database, Database::Open(OptionsFor(temp.File("db"))));
  std::string read;
  ASSERT_OK(database->Read([&](Connection& connection) {
    return connection.Query("SELECT body FROM note WHERE name = ?", {"x"},
                            [&](const Row& row) { read = row.String(0); });
  }));
  EXPECT_EQ(read, body);
}

TEST(DatabaseTest, FileIsPrivate) {
  TempDirectory temp;
  ASSERT_OK_AND_ASSIGN(auto database, Database::Open(OptionsFor(temp.File("db"))));
  ASSERT_OK(Insert(*database, "x", "y"));
  for (const char* name : {"db", "db-wal", "db-shm"}) {
    struct stat info {};
    ASSERT_EQ(stat(temp.File(name).c_str(), &info), 0) << name;
    EXPECT_EQ(info.st_mode & 0777, 0600u) << name;
  }
}

TEST(DatabaseTest, MigratesAnOlderFileWithItsData) {
  TempDirectory temp;
  {
    ASSERT_OK_AND_ASSIGN(auto old, Database::Open(OptionsFor(temp.File("db"), 1)));
    ASSERT_OK(Insert(*old, "x", "four"));
  }
  ASSERT_OK_AND_ASSIGN(auto database, Database::Open(OptionsFor(temp.File("db"), 2)));
  int64_t size = 0;
  ASSERT_OK(database->Read([&](Connection& connection) {
    return connection.Query("SELECT size FROM note", {},
                            [&](const Row& row) { size = row.Int(0); });
  }));
  EXPECT_EQ(size, 4);
}

TEST(DatabaseTest, RefusesAFileOfANewerVersion) {
  TempDirectory temp;
  ASSERT_OK(Database::Open(OptionsFor(temp.File("db"), 2)));
  EXPECT_THAT(Database::Open(OptionsFor(temp.File("db"), 1)),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("newer version")));
}

TEST(DatabaseTest, RollsBackWhatFails) {
  ASSERT_OK_AND_ASSIGN(auto database, Database::Open(OptionsFor(":memory:")));
  EXPECT_THAT(database->Write([](Connection& connection) -> absl::Status {
    EXPECT_OK(connection.Execute("INSERT INTO note (name, body) VALUES ('x', 'y')"));
    return absl::AbortedError("changed my mind");
  }),
              StatusIs(absl::StatusCode::kAborted, "changed my mind"));
  EXPECT_THAT(Names(*database), ElementsAre());
}

TEST(DatabaseTest, NamesTheKindOfError) {
  ASSERT_OK_AND_ASSIGN(auto database, Database::Open(OptionsFor(":memory:")));
  ASSERT_OK(Insert(*database, "x", "y"));
  EXPECT_THAT(Insert(*database, "x", "z"),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("UNIQUE")));
  EXPECT_THAT(
      database->Read([](Connection& connection) { return connection.Execute("SELEC").status(); }),
      StatusIs(absl::StatusCode::kInternal, HasSubstr("syntax")));
  // The cached statement of the failed insert is usable again.
  EXPECT_OK(Insert(*database, "y", "z"));
  EXPECT_THAT(Names(*database), ElementsAre("x", "y"));
}

TEST(DatabaseTest, SetsADamagedCacheAsideAndStartsEmpty) {
  TempDirectory temp;
  std::ofstream(temp.File("db"))
      << "this is no database, whatever its name says, and longer than a header of 100 bytes, "
         "which SQLite looks at first";
  EXPECT_THAT(Database::Open(OptionsFor(temp.File("db"))),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("restore the file from a backup")));
  Options options = OptionsFor(temp.File("db"));
  options.on_corruption = OnCorruption::kSetAside;
  ASSERT_OK_AND_ASSIGN(auto database, Database::Open(options));
  EXPECT_THAT(Names(*database), ElementsAre());
  struct stat info {};
  EXPECT_EQ(stat(temp.File("db.corrupt-1").c_str(), &info), 0);
}

TEST(DatabaseTest, ManyThreadsReadAndWrite) {
  TempDirectory temp;
  ASSERT_OK_AND_ASSIGN(auto database, Database::Open(OptionsFor(temp.File("db"))));
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        EXPECT_OK(Insert(*database, std::to_string(t * 100 + i), "y"));
        Names(*database);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(Names(*database).size(), 160u);
}

}  // namespace
}  // namespace contree::sqlite
