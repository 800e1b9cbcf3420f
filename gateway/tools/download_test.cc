#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "common/testing/temp_directory.h"
#include "gateway/testing/fake_backend.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

std::string ReadAll(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class DownloadTest : public testing::Test {
 protected:
  json Arguments(const std::string& path, const std::string& destination) {
    return {{"image", kBusyboxUuid}, {"path", path}, {"destination", destination}};
  }
  size_t CountEntries() {
    size_t count = 0;
    for ([[maybe_unused]] const auto& entry :
         std::filesystem::directory_iterator(directory_.path())) {
      ++count;
    }
    return count;
  }

  TempDirectory directory_;
  FakeBackend backend_;
};

TEST_F(DownloadTest, AFileArrivesWholeAndTheResultSaysWhere) {
  std::string content;
  for (int i = 0; content.size() < 1'000'000; ++i) content += std::to_string(i) + "\n";
  backend_.service().AddFile("/large", content);
  const json result = backend_.CallOk("download", Arguments("/large", directory_.File("here")));
  EXPECT_EQ(ReadAll(directory_.File("here")), content);
  EXPECT_EQ(result,
            json({{"success", true},
                  {"source", {{"image", kBusyboxUuid}, {"path", "/large"}}},
                  {"destination", std::filesystem::canonical(directory_.path()).string() + "/here"},
                  {"size", content.size()},
                  {"executable", false}}));
  struct stat info = {};
  ASSERT_EQ(stat(directory_.File("here").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0111, 0U);
  EXPECT_EQ(CountEntries(), 1U);
}

TEST_F(DownloadTest, AProgramCanBeExecuted) {
  backend_.service().AddFile("/tool", "#!/bin/sh\n");
  json arguments = Arguments("/tool", directory_.File("tool"));
  arguments["executable"] = true;
  EXPECT_EQ(backend_.CallOk("download", arguments)["executable"], true);
  struct stat info = {};
  ASSERT_EQ(stat(directory_.File("tool").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0500, 0500U);
}

TEST_F(DownloadTest, AnEmptyFileIsAFile) {
  backend_.service().AddFile("/empty", "");
  EXPECT_EQ(backend_.CallOk("download", Arguments("/empty", directory_.File("empty")))["size"], 0);
  EXPECT_TRUE(std::filesystem::exists(directory_.File("empty")));
}

TEST_F(DownloadTest, WhatFailsHalfWayLeavesTheOldFileAndNothingElse) {
  std::ofstream(directory_.File("file")) << "old";
  backend_.service().AddFile("/large", std::string(1'000'000, 'x'));
  backend_.service().BreakNextTransfer(2, {grpc::StatusCode::UNAVAILABLE, "the line broke"});
  EXPECT_THAT(backend_.CallError("download", Arguments("/large", directory_.File("file"))),
              HasSubstr("the line broke"));
  EXPECT_EQ(ReadAll(directory_.File("file")), "old");
  EXPECT_EQ(CountEntries(), 1U);
}

TEST_F(DownloadTest, AMissingFileOfTheImageLeavesNothing) {
  EXPECT_EQ(backend_.CallError("download", Arguments("/nope", directory_.File("file"))),
            "no such file: '/nope'; list_files shows what a directory of an image holds, "
            "list_images the images");
  EXPECT_EQ(CountEntries(), 0U);
}

TEST_F(DownloadTest, ADestinationThatCannotBeIsAnErrorThatNamesIt) {
  backend_.service().AddFile("/x", "x");
  EXPECT_THAT(backend_.CallError("download", Arguments("/x", directory_.path())),
              AllOf(HasSubstr(directory_.path()), HasSubstr("names a directory")));
  EXPECT_THAT(backend_.CallError("download", Arguments("/x", directory_.File("no/file"))),
              AllOf(HasSubstr(directory_.File("no/file")), HasSubstr("does not exist")));
  EXPECT_THAT(backend_.CallError("download", Arguments("/x", "")), HasSubstr("destination"));
}

}  // namespace
}  // namespace contree::gateway
