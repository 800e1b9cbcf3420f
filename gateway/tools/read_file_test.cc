#include <string>

#include "gateway/testing/fake_backend.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using testing::HasSubstr;

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
            "no such file: '/nope'; list_files shows what a directory of an image holds, "
            "list_images the images");
}

}  // namespace
}  // namespace contree::gateway
