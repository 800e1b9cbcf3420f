// list_files and read_file.

#include <string>

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

TEST(ReadFileTest, TextIsTextAndOtherBytesAreBase64) {
  FakeBackend backend;
  backend.service().AddFile("/text", "grüße\n");
  backend.service().AddFile("/binary", std::string("\x7f"
                                                   "ELF\xff",
                                                   5));
  backend.service().AddFile("/empty", "");
  EXPECT_EQ(backend.CallOk("read_file", {{"image", kBusyboxUuid}, {"path", "/text"}}),
            json({{"path", "/text"}, {"content", "grüße\n"}, {"encoding", "utf-8"}, {"size", 8}}));
  EXPECT_EQ(
      backend.CallOk("read_file", {{"image", kBusyboxUuid}, {"path", "/binary"}}),
      json({{"path", "/binary"}, {"content", "f0VMRv8="}, {"encoding", "base64"}, {"size", 5}}));
  EXPECT_EQ(backend.CallOk("read_file", {{"image", kBusyboxUuid}, {"path", "/empty"}}),
            json({{"path", "/empty"}, {"content", ""}, {"encoding", "utf-8"}, {"size", 0}}));
}

TEST(ReadFileTest, AFileOfManyPiecesComesWhole) {
  FakeBackend backend;
  std::string content;
  for (int i = 0; content.size() < 1'000'000; ++i) content += std::to_string(i) + "\n";
  backend.service().AddFile("/large", content);
  EXPECT_EQ(backend.CallOk("read_file", {{"image", kBusyboxUuid}, {"path", "/large"}})["content"],
            content);
}

TEST(ReadFileTest, AFileThatIsTooLargeIsAnErrorThatSaysWhatToDo) {
  FakeBackend backend;
  backend.service().AddFile("/huge", std::string(10 * 1024 * 1024 + 1, 'x'));
  EXPECT_THAT(backend.CallError("read_file", {{"image", kBusyboxUuid}, {"path", "/huge"}}),
              HasSubstr("'/huge' is larger than 10485760 bytes"));
}

TEST(ReadFileTest, AMissingFileIsAnErrorThatNamesIt) {
  FakeBackend backend;
  EXPECT_EQ(backend.CallError("read_file", {{"image", kBusyboxUuid}, {"path", "/nope"}}),
            "no such file: '/nope'");
}

}  // namespace
}  // namespace contree::gateway
