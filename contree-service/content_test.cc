// What is remembered of images and what never is; archives, searches, and many contents looked for
// at once. Through in-process gRPC, against an API on loopback.

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "common/testing/one_answer_server.h"
#include "contree-service/store/contree_store.h"
#include "contree-service/testing/service_test.h"

namespace contree {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kImage[] = "95ba4f1b-a511-325b-8000-000000000002";
constexpr char kOperation[] = "01a0d8ca-28fd-777e-8000-000000000001";
constexpr char kOther[] = "01a0d8ca-28fd-777e-8000-000000000002";

class ContentTest : public ContreeServiceTest {
 protected:
  absl::Status Read(const std::string& path, std::string* data) {
    v1::ReadFileRequest request;
    request.set_image(kImage);
    request.set_path(path);
    OutgoingCall call(NewCallContext(absl::Seconds(20)));
    auto reader = stub_->ReadFile(call.client_context(), request);
    v1::ReadFileResponse response;
    data->clear();
    while (reader->Read(&response)) data->append(response.data());
    return FromGrpcStatus(reader->Finish());
  }
  absl::Status List(const std::string& path, int* entries) {
    v1::ListFilesRequest request;
    request.set_image(kImage);
    request.set_path(path);
    OutgoingCall call(NewCallContext(absl::Seconds(20)));
    auto reader = stub_->ListFiles(call.client_context(), request);
    v1::ListFilesResponse response;
    *entries = 0;
    while (reader->Read(&response)) *entries += response.entries_size();
    return FromGrpcStatus(reader->Finish());
  }

  const std::string download_ = absl::StrCat("GET /v1/inspect/", kImage, "/download");
  const std::string list_ = absl::StrCat("GET /v1/inspect/", kImage, "/list");
};

TEST_F(ContentTest, SmallFilesAndListingsAreAskedForOnce) {
  api_.On(download_, [](HttpExchange& exchange) {
    exchange.Respond(200, "application/octet-stream", *exchange.Query("path"));
  });
  api_.On(list_, 200, R"({"path":"/","files":[{"path":"a"},{"path":"b"}]})");
  std::string data;
  int entries = 0;
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK(Read("/a", &data));
    EXPECT_EQ(data, "/a");
    ASSERT_OK(List("/", &entries));
    EXPECT_EQ(entries, 2);
  }
  EXPECT_EQ(api_.Count(download_), 1);
  EXPECT_EQ(api_.Count(list_), 1);
  ASSERT_OK(Read("/b", &data));
  EXPECT_EQ(data, "/b");
}

TEST_F(ContentTest, AnEmptyFileIsRememberedToo) {
  api_.On(download_,
          [](HttpExchange& exchange) { exchange.Respond(200, "application/octet-stream", ""); });
  std::string data;
  for (int i = 0; i < 2; ++i) ASSERT_OK(Read("/empty", &data));
  EXPECT_EQ(api_.Count(download_), 1);
}

TEST_F(ContentTest, ErrorsAreNotRemembered) {
  std::string data;
  int entries = 0;
  EXPECT_THAT(Read("/a", &data), StatusIs(absl::StatusCode::kNotFound, HasSubstr("/a")));
  EXPECT_THAT(List("/", &entries), StatusIs(absl::StatusCode::kNotFound, HasSubstr(kImage)));
  api_.On(download_, 422, R"({"error":"busy"})");
  EXPECT_FALSE(Read("/a", &data).ok());
  api_.On(download_, [](HttpExchange& exchange) {
    exchange.Respond(200, "application/octet-stream", "whole");
  });
  api_.On(list_, 200, R"({"path":"/","files":[{"path":"a"}]})");
  ASSERT_OK(Read("/a", &data));
  EXPECT_EQ(data, "whole");
  ASSERT_OK(List("/", &entries));
  EXPECT_EQ(entries, 1);
}

TEST_F(ContentTest, LargeFilesAreNotRemembered) {
  const std::string content((256 << 10) + 1, 'x');
  api_.On(download_, [&](HttpExchange& exchange) {
    exchange.Respond(200, "application/octet-stream", content);
  });
  std::string data;
  for (int i = 0; i < 2; ++i) {
    ASSERT_OK(Read("/large", &data));
    EXPECT_EQ(data, content);
  }
  EXPECT_EQ(api_.Count(download_), 2);
}

TEST_F(ContentTest, AFileThatIsCutOffIsAnErrorAndNotRemembered) {
  OneAnswerServer half("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
                       OneAnswerServer::End::kReset);
  endpoint_.SetUrl(half.url());
  std::string data;
  EXPECT_THAT(Read("/a", &data), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("/a")));
  endpoint_.SetUrl(api_.url());
  api_.On(download_, [](HttpExchange& exchange) {
    exchange.Respond(200, "application/octet-stream", "all of it");
  });
  ASSERT_OK(Read("/a", &data));
  EXPECT_EQ(data, "all of it");
}

TEST_F(ContentTest, AnArchiveIsStreamedInPieces) {
  const std::string content(600 << 10, 't');
  api_.On(absl::StrCat("GET /v1/inspect/", kImage, "/archive"), [&](HttpExchange& exchange) {
    if (exchange.Query("path") == "/none") {
      exchange.Respond(404, "application/json", R"({"error":"no such path"})");
    } else {
      exchange.Respond(200, "application/x-tar", content);
    }
  });
  const auto read = [&](const std::string& path, std::string* data) {
    v1::ReadArchiveRequest request;
    request.set_image(kImage);
    request.set_path(path);
    OutgoingCall call(NewCallContext(absl::Seconds(20)));
    auto reader = stub_->ReadArchive(call.client_context(), request);
    v1::ReadArchiveResponse response;
    while (reader->Read(&response)) {
      EXPECT_LE(response.data().size(), size_t{256} << 10);
      data->append(response.data());
    }
    return FromGrpcStatus(reader->Finish());
  };
  std::string data;
  EXPECT_OK(read("/etc", &data));
  EXPECT_EQ(data, content);
  EXPECT_THAT(read("/none", &data), StatusIs(absl::StatusCode::kNotFound,
                                             AllOf(HasSubstr("/none"), HasSubstr("archive"))));
}

TEST_F(ContentTest, ASearchIsPassedOnAndItsMatchesComeBack) {
  const std::string route = absl::StrCat("GET /v1/inspect/", kImage, "/grep");
  api_.On(route, [](HttpExchange& exchange) {
    EXPECT_EQ(exchange.Query("pattern"), "a|b c");
    EXPECT_EQ(exchange.Query("path"), "/");
    EXPECT_EQ(exchange.Query("glob"), "*.txt");
    EXPECT_EQ(exchange.Query("max_count"), "2");
    EXPECT_EQ(exchange.Query("max_total"), "1000");
    EXPECT_EQ(exchange.Query("case"), "smart");
    exchange.Respond(200, "application/json",
                     R"({"path":"/","patterns":["a|b c"],"truncated":true,"matches":[
                        {"path":"etc/x","line_number":7,"line_text":"a\n","type":"match","new":1},
                        {"path":"etc/x","line_number":8,"line_text":"n\n","type":"context"}]})");
  });
  v1::GrepRequest request;
  request.set_image(kImage);
  request.add_patterns("a|b c");
  request.add_globs("*.txt");
  request.set_max_count(2);
  request.set_case_(v1::GREP_CASE_SMART);
  ASSERT_OK_AND_ASSIGN(const v1::GrepResponse found,
                       Call(&v1::ContreeService::StubInterface::Grep, request));
  ASSERT_EQ(found.matches_size(), 2);
  EXPECT_EQ(found.matches(0).path(), "etc/x");
  EXPECT_EQ(found.matches(0).line_number(), 7);
  EXPECT_EQ(found.matches(0).line_text(), "a\n");
  EXPECT_FALSE(found.matches(0).is_context());
  EXPECT_TRUE(found.matches(1).is_context());
  EXPECT_TRUE(found.truncated());
  api_.On(route, 400, R"({"error":"unclosed group"})");
  EXPECT_THAT(Call(&v1::ContreeService::StubInterface::Grep, request),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("unclosed group")));
  request.clear_patterns();
  EXPECT_THAT(Call(&v1::ContreeService::StubInterface::Grep, request),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("patterns")));
}

TEST_F(ContentTest, ManyContentsAreLookedForAtOnceAndComeInOrder) {
  absl::Mutex mutex;
  int arrived = 0;
  v1::FindFilesRequest request;
  for (int i = 0; i < 100; ++i) {
    const std::string sha256 = absl::StrCat(std::string(61, 'a'), 100 + i);
    request.add_sha256(sha256);
    if (i % 10 == 9) continue;  // unknown
    api_.On("GET /v1/files/" + sha256, [&, sha256, i](HttpExchange& exchange) {
      {
        // The first eight wait for each other: one after the other would never answer.
        absl::MutexLock lock(&mutex);
        ++arrived;
        const auto together = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex) { return arrived >= 8; };
        mutex.Await(absl::Condition(&together));
      }
      exchange.Respond(200, "application/json",
                       absl::StrCat(R"({"uuid":"f)", i, R"(","sha256":")", sha256, "\"}"));
    });
  }
  ASSERT_OK_AND_ASSIGN(const v1::FindFilesResponse found,
                       Call(&v1::ContreeService::StubInterface::FindFiles, request));
  ASSERT_EQ(found.files_size(), 90);
  EXPECT_EQ(found.files(0).uuid(), "f0");
  EXPECT_EQ(found.files(9).uuid(), "f10");
  EXPECT_EQ(found.files(89).uuid(), "f98");
  ASSERT_OK_AND_ASSIGN(const v1::FindFilesResponse none,
                       Call(&v1::ContreeService::StubInterface::FindFiles, v1::FindFilesRequest()));
  EXPECT_EQ(none.files_size(), 0);
}

TEST_F(ContentTest, ThePageWithAllUploadsAnswersForManyContents) {
  const auto hash = [](int i) { return absl::StrCat(std::string(60, 'b'), 1000 + i); };
  v1::FindFilesRequest request;
  for (int i = 0; i < 250; ++i) request.add_sha256(hash(i));
  request.add_sha256(hash(1));
  int uploads = 3;
  api_.On("GET /v1/files", [&](HttpExchange& exchange) {
    EXPECT_EQ(exchange.Query("limit"), "1000");
    const int first = exchange.Query("offset") == "1000" ? 1000 : 0;
    std::vector<std::string> files;
    for (int i = first; i < uploads && i < first + 1000; ++i) {
      files.push_back(absl::StrCat(R"({"uuid":"f)", i, R"(","sha256":")", hash(i), "\"}"));
    }
    exchange.Respond(200, "application/json",
                     absl::StrCat(R"({"files":[)", absl::StrJoin(files, ","), "]}"));
  });
  ASSERT_OK_AND_ASSIGN(const v1::FindFilesResponse found,
                       Call(&v1::ContreeService::StubInterface::FindFiles, request));
  ASSERT_EQ(found.files_size(), 4);
  EXPECT_EQ(found.files(2).uuid(), "f2");
  EXPECT_EQ(found.files(3).uuid(), "f1");
  EXPECT_EQ(api_.Count("GET /v1/files"), 1);
  EXPECT_EQ(api_.Count("GET /v1/files/" + hash(7)), 0);

  // A list that goes on behind two pages leaves the rest to be looked for one by one.
  uploads = 5000;
  request.add_sha256(std::string(64, 'c'));
  api_.On("GET /v1/files/" + std::string(64, 'c'), 200,
          absl::StrCat(R"({"uuid":"c","sha256":")", std::string(64, 'c'), "\"}"));
  ASSERT_OK_AND_ASSIGN(const v1::FindFilesResponse all,
                       Call(&v1::ContreeService::StubInterface::FindFiles, request));
  EXPECT_EQ(all.files_size(), 252);
  EXPECT_EQ(all.files(251).uuid(), "c");
  EXPECT_EQ(api_.Count("GET /v1/files"), 3);
  EXPECT_EQ(api_.Count("GET /v1/files/" + hash(7)), 0);
}

TEST_F(ContreeServiceTest, WhatWasFollowedIsFollowedAgainAfterARestart) {
  EventFeed& feed = api_.Feed(kOperation);
  EventFeed& other = api_.Feed(kOther);
  api_.SetOperation(kOperation, "EXECUTING");
  api_.SetOperation(kOther, "EXECUTING");
  const auto start = [&](const char* id) {
    api_.On("POST /v1/instances", 201, absl::StrCat("{\"uuid\":\"", id, "\"}"));
    v1::RunInstanceRequest request;
    request.set_command("ls");
    request.set_image(kImage);
    return Call(&v1::ContreeService::StubInterface::RunInstance, request).status();
  };
  ASSERT_OK(start(kOperation));
  ASSERT_OK(start(kOther));
  feed.AwaitConnections(1);
  other.AwaitConnections(1);
  api_.SetOperation(kOther, "SUCCESS", "early");
  other.Send(0, "completion", "{}", 0);
  EXPECT_EQ(Watcher(*stub_, kOther).Rest().back(), "completed early");

  Restart();
  // Nobody asks for it.
  feed.AwaitConnections(2);
  api_.SetOperation(kOperation, "SUCCESS", "late");
  feed.Send(0, "completion", "{}", 0);
  EXPECT_EQ(Watcher(*stub_, kOperation).Rest().back(), "completed late");
  // What is final is left alone.
  EXPECT_EQ(other.connections(), 1);
}

TEST_F(ContreeServiceTest, WhatBelongsToAnotherPlatformIsNotFollowedThere) {
  EventFeed& feed = api_.Feed(kOperation);
  EventFeed& mine = api_.Feed(kOther);
  {
    auto store = ContreeStore::Open(temp_.File("state/contree.db"), absl::Now());
    ASSERT_OK(store);
    for (const auto& [id, platform] :
         {std::pair(kOperation, "elsewhere"), std::pair(kOther, "test")}) {
      ASSERT_OK((*store)->AddStarted({.tenant = kLocalTenant, .platform = platform},
                                     {.id = id,
                                      .kind = v1::OPERATION_KIND_INSTANCE,
                                      .command = "ls",
                                      .image = kImage,
                                      .created_at = absl::Now()}));
    }
  }
  Restart();
  mine.AwaitConnections(1);
  EXPECT_EQ(feed.connections(), 0);
}

}  // namespace
}  // namespace contree
