#include "gateway/testing/fake_backend.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using testing::HasSubstr;

TEST(ListFilesTest, EntriesKeepTheirOrderAndSayWhatTheyAre) {
  FakeBackend backend;
  contree::v1::FileEntry file;
  file.set_name("a");
  file.set_path("/etc/a");
  file.set_type(contree::v1::FILE_TYPE_REGULAR);
  file.set_size(3);
  file.set_mode(0644);
  file.set_uid(1);
  file.set_gid(2);
  file.mutable_mtime()->set_seconds(0);
  backend.service().AddEntry(file);
  contree::v1::FileEntry link;
  link.set_name("b");
  link.set_path("/etc/b");
  link.set_type(contree::v1::FILE_TYPE_SYMLINK);
  link.set_mode(04777);
  link.set_symlink_target("a");
  backend.service().AddEntry(link);
  EXPECT_EQ(backend.CallOk("list_files", {{"image", kBusyboxUuid}, {"path", "/etc"}}),
            json({{"path", "/etc"},
                  {"count", 2},
                  {"files",
                   {{{"name", "a"},
                     {"path", "/etc/a"},
                     {"type", "file"},
                     {"size", 3},
                     {"mode", "0644"},
                     {"uid", 1},
                     {"gid", 2},
                     {"mtime", "1970-01-01T00:00:00Z"}},
                    {{"name", "b"},
                     {"path", "/etc/b"},
                     {"type", "symlink"},
                     {"size", 0},
                     {"mode", "4777"},
                     {"uid", 0},
                     {"gid", 0},
                     {"target", "a"}}}}}));
}

TEST(ListFilesTest, TheRootIsTheDefaultAndMayBeEmpty) {
  FakeBackend backend;
  EXPECT_EQ(backend.CallOk("list_files", {{"image", "tag:busybox:latest"}}),
            json({{"path", "/"}, {"count", 0}, {"files", json::array()}}));
}

TEST(ListFilesTest, ADirectoryThatIsTooLargeIsAnErrorThatSaysWhatToDo) {
  FakeBackend backend;
  contree::v1::FileEntry entry;
  entry.set_name("x");
  for (int i = 0; i <= 50'000; ++i) backend.service().AddEntry(entry);
  EXPECT_THAT(backend.CallError("list_files", {{"image", kBusyboxUuid}}),
              HasSubstr("more than 50000 entries"));
}

}  // namespace
}  // namespace contree::gateway
