#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "common/testing/temp_directory.h"
#include "gateway/testing/fake_backend.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

std::string Lines(size_t bytes) {
  std::string content;
  for (int i = 0; content.size() < bytes; ++i) content += std::to_string(i) + "\n";
  return content;
}

TEST(UploadTest, TextIsStoredAsItIs) {
  FakeBackend backend;
  EXPECT_EQ(backend.CallOk("upload", {{"content", "grüße\n"}}),
            json({{"uuid", "file-1"}, {"sha256", std::string(64, 'a')}, {"size", 8}}));
  const FakeUpload upload = backend.service().calls().uploads.at(0);
  EXPECT_EQ(upload.data, "grüße\n");
  EXPECT_EQ(upload.size, 8);
}

TEST(UploadTest, Base64IsStoredAsItsBytes) {
  FakeBackend backend;
  backend.CallOk("upload", {{"content_base64", "AAEC/w=="}});
  EXPECT_EQ(backend.service().calls().uploads.at(0).data, std::string("\0\1\2\xff", 4));
}

TEST(UploadTest, AnEmptyFileIsAFile) {
  FakeBackend backend;
  EXPECT_EQ(backend.CallOk("upload", {{"content", ""}})["size"], 0);
  EXPECT_EQ(backend.CallOk("upload", {{"content_base64", ""}})["size"], 0);
}

TEST(UploadTest, AFileOfTheHostIsSentInPieces) {
  const TempDirectory directory;
  const std::string content = Lines(1'000'000);
  std::ofstream(directory.File("large")) << content;
  FakeBackend backend;
  const json file = backend.CallOk("upload", {{"path", directory.File("large")}});
  EXPECT_EQ(file["size"], content.size());
  const FakeUpload upload = backend.service().calls().uploads.at(0);
  EXPECT_EQ(upload.data, content);
  EXPECT_EQ(upload.size, static_cast<int64_t>(content.size()));
  EXPECT_EQ(upload.pieces, 4);
}

TEST(UploadTest, AFileWhoseSizeNobodyKnowsIsReadToItsEnd) {
  FakeBackend backend;
  backend.CallOk("upload", {{"path", "/proc/self/status"}});
  const FakeUpload upload = backend.service().calls().uploads.at(0);
  EXPECT_FALSE(upload.size.has_value());
  EXPECT_THAT(upload.data, HasSubstr("Name:"));
}

TEST(UploadTest, ExactlyOneSourceIsTaken) {
  FakeBackend backend;
  EXPECT_THAT(backend.CallError("upload", json::object()), HasSubstr("got none of them"));
  EXPECT_THAT(backend.CallError("upload", {{"path", "/x"}, {"content", "x"}}),
              HasSubstr("content and path"));
  EXPECT_TRUE(backend.service().calls().uploads.empty());
}

TEST(UploadTest, WhatCannotBeReadIsAnErrorThatNamesIt) {
  const TempDirectory directory;
  FakeBackend backend;
  EXPECT_THAT(backend.CallError("upload", {{"path", directory.File("nope")}}),
              HasSubstr(directory.File("nope")));
  EXPECT_THAT(backend.CallError("upload", {{"path", directory.path()}}),
              AllOf(HasSubstr(directory.path()), HasSubstr("one file at a time")));
  EXPECT_THAT(backend.CallError("upload", {{"content_base64", "data:text/plain;base64,eA=="}}),
              HasSubstr("content_base64 is not base64"));
  EXPECT_TRUE(backend.service().calls().uploads.empty());
}

TEST(UploadTest, AFileThatChangesWhileItIsReadIsNotStoredAsSomethingThatItNeverWas) {
  const TempDirectory directory;
  std::ofstream(directory.File("busy")) << std::string(8 << 20, 'x');
  FakeBackend backend;
  std::jthread writer([&](const std::stop_token& stop) {
    std::fstream file(directory.File("busy"), std::ios::in | std::ios::out);
    while (!stop.stop_requested()) file.seekp(0) << "y" << std::flush;
  });
  EXPECT_THAT(backend.CallError("upload", {{"path", directory.File("busy")}}),
              AllOf(HasSubstr("changed while it was read"), HasSubstr("upload it again")));
  writer.request_stop();
  writer.join();
  EXPECT_EQ(backend.CallOk("upload", {{"path", directory.File("busy")}})["size"], 8 << 20);
}

TEST(UploadTest, AServiceThatRefusesHalfWayIsHeard) {
  const TempDirectory directory;
  std::ofstream(directory.File("large")) << Lines(3'000'000);
  FakeBackend backend;
  backend.service().BreakNextTransfer(
      2, {grpc::StatusCode::INVALID_ARGUMENT, "the file is larger than the platform takes"});
  EXPECT_EQ(backend.CallError("upload", {{"path", directory.File("large")}}),
            "the file is larger than the platform takes");
}

}  // namespace
}  // namespace contree::gateway
