#include "contree-service/store/contree_store.h"

#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/sqlite/database.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"

namespace contree {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;

const absl::Time kNow = absl::FromUnixSeconds(1'790'000'000);
const StoreScope kScope = {.tenant = "t", .platform = "https://p"};
const StoreScope kOtherTenant = {.tenant = "u", .platform = "https://p"};
const StoreScope kOtherPlatform = {.tenant = "t", .platform = "https://q"};

v1::Operation Ran(const std::string& id, const std::string& image, const std::string& result) {
  v1::Operation operation;
  operation.set_id(id);
  operation.set_kind(v1::OPERATION_KIND_INSTANCE);
  operation.set_state(v1::OPERATION_STATE_SUCCESS);
  operation.set_image(image);
  operation.set_result_image(result);
  operation.set_command("as the platform shows it");
  operation.mutable_instance()->set_exit_code(3);
  operation.mutable_instance()->mutable_stdout()->set_data(std::string("a\0b", 3));
  return operation;
}

std::unique_ptr<ContreeStore> OpenIn(const TempDirectory& temp, absl::Time now = kNow) {
  auto store = ContreeStore::Open(temp.File("contree.db"), now);
  EXPECT_OK(store);
  return *std::move(store);
}

TEST(ContreeStoreTest, AFinalRecordSurvivesARestartWhole) {
  TempDirectory temp;
  const v1::Operation operation = Ran("o1", "a", "b");
  ASSERT_OK(OpenIn(temp)->PutFinal(kScope, operation, kNow));
  ASSERT_OK_AND_ASSIGN(const auto found, OpenIn(temp)->FindFinal(kScope, "o1"));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->SerializeAsString(), operation.SerializeAsString());
}

TEST(ContreeStoreTest, AnotherTenantOrPlatformSeesNothing) {
  TempDirectory temp;
  auto store = OpenIn(temp);
  ASSERT_OK(store->PutFinal(kScope, Ran("o1", "a", "b"), kNow));
  for (const StoreScope& other : {kOtherTenant, kOtherPlatform}) {
    ASSERT_OK_AND_ASSIGN(const auto record, store->FindFinal(other, "o1"));
    EXPECT_FALSE(record.has_value());
    ASSERT_OK_AND_ASSIGN(const auto origin, store->FindOrigin(other, "b"));
    EXPECT_FALSE(origin.has_value());
    ASSERT_OK_AND_ASSIGN(const auto children, store->FindChildren(other, "a"));
    EXPECT_TRUE(children.empty());
  }
}

TEST(ContreeStoreTest, TheFirstRecordStays) {
  TempDirectory temp;
  auto store = OpenIn(temp);
  ASSERT_OK(store->PutFinal(kScope, Ran("o1", "a", "b"), kNow));
  ASSERT_OK(store->PutFinal(kScope, Ran("o1", "a", "c"), kNow));
  ASSERT_OK_AND_ASSIGN(const auto found, store->FindFinal(kScope, "o1"));
  EXPECT_EQ(found->result_image(), "b");
}

TEST(ContreeStoreTest, KnowsParentsAndDirectChildren) {
  TempDirectory temp;
  auto store = OpenIn(temp);
  ASSERT_OK(store->AddStarted(kScope, {.id = "o1",
                                       .kind = v1::OPERATION_KIND_INSTANCE,
                                       .command = "as it was given",
                                       .image = "tag:a",
                                       .created_at = kNow}));
  ASSERT_OK(store->PutFinal(kScope, Ran("o1", "a", "b"), kNow));
  ASSERT_OK(store->PutFinal(kScope, Ran("o2", "b", "c"), kNow));
  ASSERT_OK(store->PutFinal(kScope, Ran("o3", "a", "d"), kNow));
  ASSERT_OK(store->PutFinal(kScope, Ran("o4", "a", "a"), kNow));
  ASSERT_OK(store->PutFinal(kScope, Ran("o5", "a", ""), kNow));
  ASSERT_OK_AND_ASSIGN(const auto b, store->FindOrigin(kScope, "b"));
  ASSERT_TRUE(b.has_value());
  EXPECT_EQ(b->parent, "a");
  EXPECT_EQ(b->command, "as it was given");
  EXPECT_EQ(b->exit_code, 3);
  EXPECT_EQ(b->operation_id, "o1");
  ASSERT_OK_AND_ASSIGN(const auto c, store->FindOrigin(kScope, "c"));
  EXPECT_EQ(c->command, "as the platform shows it");
  ASSERT_OK_AND_ASSIGN(const auto children, store->FindChildren(kScope, "a"));
  EXPECT_THAT(children,
              ElementsAre(Field(&ImageOrigin::image, "b"), Field(&ImageOrigin::image, "d")));
  ASSERT_OK_AND_ASSIGN(const auto root, store->FindOrigin(kScope, "a"));
  EXPECT_FALSE(root.has_value());
}

TEST(ContreeStoreTest, AnImportHasNoParent) {
  TempDirectory temp;
  auto store = OpenIn(temp);
  v1::Operation import;
  import.set_id("o1");
  import.set_kind(v1::OPERATION_KIND_IMAGE_IMPORT);
  import.set_state(v1::OPERATION_STATE_SUCCESS);
  import.set_result_image("a");
  import.mutable_import()->set_registry_url("docker://docker.io/library/busybox:latest");
  ASSERT_OK(store->PutFinal(kScope, import, kNow));
  ASSERT_OK_AND_ASSIGN(const auto origin, store->FindOrigin(kScope, "a"));
  ASSERT_TRUE(origin.has_value());
  EXPECT_EQ(origin->parent, "");
  EXPECT_EQ(origin->registry_url, "docker://docker.io/library/busybox:latest");
}

TEST(ContreeStoreTest, ListsWhatIsUnfinishedNewestFirst) {
  TempDirectory temp;
  auto store = OpenIn(temp);
  for (int i = 1; i <= 4; ++i) {
    ASSERT_OK(store->AddStarted(kScope, {.id = "o" + std::to_string(i),
                                         .kind = v1::OPERATION_KIND_INSTANCE,
                                         .command = "x",
                                         .image = "a",
                                         .created_at = kNow + absl::Seconds(i)}));
  }
  ASSERT_OK(store->PutFinal(kScope, Ran("o3", "a", ""), kNow));
  ASSERT_OK_AND_ASSIGN(const auto unfinished, store->FindUnfinished(kNow + absl::Seconds(2), 10));
  EXPECT_THAT(unfinished, ElementsAre(Field(&ContreeStore::Unfinished::id, "o4"),
                                      Field(&ContreeStore::Unfinished::id, "o2")));
  ASSERT_OK_AND_ASSIGN(const auto newest, store->FindUnfinished(kNow, 1));
  EXPECT_THAT(newest, ElementsAre(Field(&ContreeStore::Unfinished::id, "o4")));
}

TEST(ContreeStoreTest, DropsOldRecordsAtStartAndKeepsOrigins) {
  TempDirectory temp;
  ASSERT_OK(OpenIn(temp)->PutFinal(kScope, Ran("o1", "a", "b"), kNow));
  auto store = OpenIn(temp, kNow + absl::Hours(24 * 31));
  ASSERT_OK_AND_ASSIGN(const auto record, store->FindFinal(kScope, "o1"));
  EXPECT_FALSE(record.has_value());
  ASSERT_OK_AND_ASSIGN(const auto origin, store->FindOrigin(kScope, "b"));
  EXPECT_TRUE(origin.has_value());
}

TEST(ContreeStoreTest, ADamagedFileIsRefusedByNameAndLeftAsItIs) {
  const TempDirectory temp;
  const std::string path = temp.File("contree.db");
  const std::string damaged(8192, 'x');
  std::ofstream(path) << damaged;
  EXPECT_THAT(ContreeStore::Open(path, kNow).status(),
              StatusIs(absl::StatusCode::kDataLoss, testing::HasSubstr(path)));
  std::ifstream file(path);
  EXPECT_EQ(std::string((std::istreambuf_iterator<char>(file)), {}), damaged);
}

TEST(ContreeStoreTest, AFileOfANewerVersionIsRefused) {
  const TempDirectory temp;
  const std::string path = temp.File("contree.db");
  {
    const std::vector<absl::string_view> steps(100, "SELECT 1");
    ASSERT_OK(sqlite::Database::Open({.path = path, .migrations = steps}).status());
  }
  EXPECT_THAT(ContreeStore::Open(path, kNow).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition, testing::HasSubstr("newer")));
}

TEST(ContreeStoreTest, AncestryGoesThroughThousandsOfGenerations) {
  TempDirectory temp;
  auto store = OpenIn(temp);
  constexpr int kGenerations = 5000;
  std::vector<v1::Operation> listed;
  for (int i = 1; i <= kGenerations; ++i)
    listed.push_back(Ran(absl::StrCat("o", i), absl::StrCat("i", i - 1), absl::StrCat("i", i)));
  ASSERT_OK(store->AddListed(kScope, listed, std::nullopt));
  ASSERT_OK_AND_ASSIGN(const auto ancestry,
                       store->FindAncestry(kScope, absl::StrCat("i", kGenerations)));
  ASSERT_EQ(ancestry.size(), size_t{kGenerations});
  EXPECT_EQ(ancestry.front().parent, "i4999");
  EXPECT_EQ(ancestry.back().parent, "i0");
}

TEST(ContreeStoreTest, AncestryThatGoesInACircleEnds) {
  TempDirectory temp;
  auto store = OpenIn(temp);
  ASSERT_OK(store->AddListed(kScope, {Ran("o1", "a", "b"), Ran("o2", "b", "a")}, std::nullopt));
  ASSERT_OK_AND_ASSIGN(const auto ancestry, store->FindAncestry(kScope, "b"));
  EXPECT_THAT(ancestry,
              ElementsAre(Field(&ImageOrigin::image, "b"), Field(&ImageOrigin::image, "a")));
}

TEST(ContreeStoreTest, ARecordCompletesWhatTheListShowed) {
  TempDirectory temp;
  auto store = OpenIn(temp);
  v1::Operation listed = Ran("o1", "a", "b");
  listed.clear_command();
  listed.clear_instance();
  const OperationsRead read = {.from = kNow, .until = kNow + absl::Seconds(5), .to_the_end = true};
  ASSERT_OK(store->AddListed(kScope, {listed}, read));
  ASSERT_OK_AND_ASSIGN(const auto found_read, store->FindOperationsRead(kScope));
  ASSERT_TRUE(found_read.has_value());
  EXPECT_EQ(found_read->from, read.from);
  EXPECT_EQ(found_read->until, read.until);
  EXPECT_TRUE(found_read->to_the_end);
  ASSERT_OK_AND_ASSIGN(const auto other_read, store->FindOperationsRead(kOtherTenant));
  EXPECT_FALSE(other_read.has_value());
  EXPECT_FALSE((*store->FindOrigin(kScope, "b"))->is_detailed);
  // Another operation with the same result says nothing about this one.
  ASSERT_OK(store->PutFinal(kScope, Ran("o9", "x", "b"), kNow));
  EXPECT_FALSE((*store->FindOrigin(kScope, "b"))->is_detailed);
  ASSERT_OK(store->PutFinal(kScope, Ran("o1", "a", "b"), kNow));
  ASSERT_OK_AND_ASSIGN(const auto origin, store->FindOrigin(kScope, "b"));
  EXPECT_TRUE(origin->is_detailed);
  EXPECT_EQ(origin->exit_code, 3);
  EXPECT_EQ(origin->command, "as the platform shows it");
  // And the list takes nothing away.
  ASSERT_OK(store->AddListed(kScope, {listed}, std::nullopt));
  EXPECT_TRUE((*store->FindOrigin(kScope, "b"))->is_detailed);
}

// As version 1 made it.
constexpr absl::string_view kVersion1[] = {R"sql(
  CREATE TABLE operation (
    tenant TEXT NOT NULL, platform TEXT NOT NULL, id TEXT NOT NULL, kind INTEGER NOT NULL,
    command TEXT NOT NULL, image TEXT NOT NULL, created_at INTEGER NOT NULL,
    is_final INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (tenant, platform, id)
  ) WITHOUT ROWID;
  CREATE INDEX operation_unfinished ON operation (created_at) WHERE is_final = 0;
  CREATE TABLE final_record (
    tenant TEXT NOT NULL, platform TEXT NOT NULL, id TEXT NOT NULL, stored_at INTEGER NOT NULL,
    record BLOB NOT NULL, PRIMARY KEY (tenant, platform, id)
  );
  CREATE INDEX final_record_age ON final_record (stored_at);
  CREATE TABLE image_origin (
    tenant TEXT NOT NULL, platform TEXT NOT NULL, image TEXT NOT NULL, parent TEXT NOT NULL,
    command TEXT NOT NULL, exit_code INTEGER NOT NULL, operation_id TEXT NOT NULL,
    registry_url TEXT NOT NULL, PRIMARY KEY (tenant, platform, image)
  ) WITHOUT ROWID;
  CREATE INDEX image_origin_parent ON image_origin (tenant, platform, parent, operation_id);
)sql"};

TEST(ContreeStoreTest, KnowsWhatWasStartedHereAndByWhom) {
  TempDirectory temp;
  auto store = OpenIn(temp);
  ASSERT_OK(store->AddStarted(kScope, {.id = "o1",
                                       .kind = v1::OPERATION_KIND_INSTANCE,
                                       .command = "make all",
                                       .image = "tag:a",
                                       .created_at = kNow,
                                       .principal = "alice"}));
  std::vector<v1::Operation> operations = {Ran("o1", "a", "b"), Ran("o2", "a", "c")};
  operations[1].set_command("seen elsewhere");
  ASSERT_OK(store->FillStarted(kScope, absl::MakeSpan(operations)));
  EXPECT_EQ(operations[0].command(), "make all");
  EXPECT_EQ(operations[0].principal(), "alice");
  EXPECT_EQ(operations[1].command(), "seen elsewhere");
  EXPECT_EQ(operations[1].principal(), "");

  ASSERT_OK(store->PutFinal(kScope, operations[0], kNow));
  ASSERT_OK_AND_ASSIGN(const auto origin, store->FindOrigin(kScope, "b"));
  EXPECT_EQ(origin->principal, "alice");
}

TEST(ContreeStoreTest, ListsOriginsNewestFirst) {
  TempDirectory temp;
  auto store = OpenIn(temp);
  v1::Operation made = Ran("o1", "a", "b");
  made.set_layer_bytes(4096);
  ASSERT_OK(store->PutFinal(kScope, made, kNow));
  ASSERT_OK(store->PutFinal(kScope, Ran("o3", "b", "c"), kNow));
  ASSERT_OK(store->PutFinal(kScope, Ran("o2", "a", "d"), kNow));
  ASSERT_OK(store->PutFinal({.tenant = "another", .platform = kScope.platform}, Ran("o4", "a", "e"),
                            kNow));
  ASSERT_OK_AND_ASSIGN(const auto all, store->ListOrigins(kScope, 10));
  EXPECT_THAT(all, ElementsAre(Field(&ImageOrigin::image, "c"), Field(&ImageOrigin::image, "d"),
                               Field(&ImageOrigin::image, "b")));
  EXPECT_EQ(all.back().parent, "a");
  EXPECT_EQ(all.back().layer_bytes, 4096);
  ASSERT_OK_AND_ASSIGN(const auto newest, store->ListOrigins(kScope, 1));
  EXPECT_THAT(newest, ElementsAre(Field(&ImageOrigin::image, "c")));
}

TEST(ContreeStoreTest, AStoreOfVersion1KeepsWhatItHolds) {
  TempDirectory temp;
  {
    ASSERT_OK_AND_ASSIGN(const auto old, sqlite::Database::Open({.path = temp.File("contree.db"),
                                                                 .migrations = kVersion1}));
    ASSERT_OK(old->Write([](sqlite::Connection& connection) {
      return connection
          .Execute(
              "INSERT INTO image_origin VALUES ('t', 'https://p', 'b', 'a', 'make', 2, 'o1', '')")
          .status();
    }));
    ASSERT_OK(old->Write([](sqlite::Connection& connection) {
      return connection
          .Execute("INSERT INTO operation VALUES ('t', 'https://p', 'o2', 1, 'x', 'a', ?, 0)",
                   {absl::ToUnixMicros(kNow)})
          .status();
    }));
  }
  auto store = OpenIn(temp);
  ASSERT_OK_AND_ASSIGN(const auto origin, store->FindOrigin(kScope, "b"));
  ASSERT_TRUE(origin.has_value());
  EXPECT_EQ(origin->command, "make");
  EXPECT_EQ(origin->exit_code, 2);
  EXPECT_TRUE(origin->is_detailed);
  EXPECT_EQ(origin->layer_bytes, 0);
  ASSERT_OK_AND_ASSIGN(const auto unfinished, store->FindUnfinished(kNow, 10));
  EXPECT_THAT(unfinished, ElementsAre(Field(&ContreeStore::Unfinished::id, "o2")));
}

}  // namespace
}  // namespace contree
