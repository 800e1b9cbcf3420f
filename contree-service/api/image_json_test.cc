#include "contree-service/api/image_json.h"

#include <nlohmann/json.hpp>

#include "common/testing/status_matchers.h"
#include "contree-service/api/proto_time.h"

namespace contree {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

TEST(ImageJsonTest, ReadsAnImageWithAndWithoutItsOptionalFields) {
  const v1::Image image = ImageFromJson(Json::parse(
      R"({"uuid": "u", "tag": "a:b", "created_at": "2026-09-18T07:51:35+00:00", "operation_uuid": "o", "new": 1})"));
  EXPECT_EQ(image.uuid(), "u");
  EXPECT_EQ(image.tag(), "a:b");
  EXPECT_EQ(image.operation_id(), "o");
  EXPECT_EQ(image.created_at().seconds(), 1789717895);
  const v1::Image bare =
      ImageFromJson(Json::parse(R"({"uuid": "u", "tag": null, "operation_uuid": null})"));
  EXPECT_EQ(bare.tag(), "");
  EXPECT_FALSE(bare.has_created_at());
}

TEST(ImageJsonTest, ReadsEntriesSortedByName) {
  ASSERT_OK_AND_ASSIGN(const std::vector<v1::FileEntry> entries,
                       EntriesFromJson(R"({"path": "/etc", "files": [
      {"size": 3, "path": "zoo", "owner": "root", "group": 7, "uid": 1, "gid": 7, "mode": 33261, "mtime": 9, "nlink": 1,
       "is_dir": false, "is_regular": true, "is_symlink": false, "is_socket": false, "is_fifo": false, "symlink_to": ""},
      {"size": 0, "path": "link", "owner": "", "group": "wheel", "uid": 0, "gid": 0, "mode": 41471, "mtime": 0, "nlink": 1,
       "is_dir": false, "is_regular": false, "is_symlink": true, "is_socket": false, "is_fifo": false, "symlink_to": "zoo"}]})",
                                       "/etc", "it"));
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].name(), "link");
  EXPECT_EQ(entries[0].type(), v1::FILE_TYPE_SYMLINK);
  EXPECT_EQ(entries[0].symlink_target(), "zoo");
  EXPECT_EQ(entries[0].owner(), "0");
  EXPECT_EQ(entries[0].group(), "wheel");
  EXPECT_EQ(entries[1].path(), "/etc/zoo");
  EXPECT_EQ(entries[1].type(), v1::FILE_TYPE_REGULAR);
  EXPECT_EQ(entries[1].size(), 3);
  EXPECT_EQ(entries[1].mode(), 0755u);
  EXPECT_EQ(entries[1].owner(), "root");
  EXPECT_EQ(entries[1].group(), "7");
  EXPECT_EQ(entries[1].mtime().seconds(), 9);
}

TEST(ImageJsonTest, TheRootsEntriesHaveOneSlash) {
  ASSERT_OK_AND_ASSIGN(
      const std::vector<v1::FileEntry> entries,
      EntriesFromJson(R"({"files": [{"path": "bin", "is_dir": true}]})", "/", "it"));
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].path(), "/bin");
}

TEST(ImageJsonTest, BrokenJsonIsUnavailable) {
  EXPECT_THAT(EntriesFromJson(R"({"files": [{"path": "bin")", "/", "/ in image x"),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("/ in image x")));
}

}  // namespace
}  // namespace contree
