// Lineage through in-process gRPC, of images that were made elsewhere: the API on loopback says
// what each test tells it to.

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "contree-service/testing/service_test.h"

namespace contree {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Id(int number) {
  return absl::StrCat("01a0d8ca-28fd-777e-8000-", 100000000000 + number);
}
std::string ImageId(int number) {
  return absl::StrCat("95ba4f1b-a511-325b-8000-", 100000000000 + number);
}

// An operation's entry in the list. `image` -1: an import.
std::string Listed(int id, int image, int result, const std::string& status = "SUCCESS") {
  return absl::StrCat(
      R"({"uuid":")", Id(id), R"(","kind":")", image < 0 ? "image_import" : "instance",
      R"(","status":")", status, R"(","created_at":"2026-09-18T07:00:)", id < 10 ? "0" : "", id,
      R"(Z","image_uuid":)", image < 0 ? "null" : absl::StrCat("\"", ImageId(image), "\""),
      R"(,"result_image_uuid":)", result < 0 ? "null" : absl::StrCat("\"", ImageId(result), "\""),
      "}");
}

class LineageTest : public ContreeServiceTest {
 protected:
  void SetList(const std::vector<std::string>& newest_first) {
    api_.On("GET /v1/operations", 200, absl::StrCat("[", absl::StrJoin(newest_first, ","), "]"));
  }
  void SetRun(int id, int image, int result, const std::string& command, int exit_code) {
    api_.On("GET /v1/operations/" + Id(id), 200,
            absl::StrCat(R"({"uuid":")", Id(id), R"(","kind":"instance","status":"SUCCESS",)",
                         R"("image_uuid":")", ImageId(image), R"(","result_image_uuid":")",
                         ImageId(result), R"(","metadata":{"command":")", command,
                         R"(","args":[],"result":{"state":{"exit_code":)", exit_code,
                         R"(,"signal":-1}}}})"));
  }
  absl::StatusOr<v1::ImageLineage> Lineage(const std::string& image) {
    v1::GetImageLineageRequest request;
    request.set_image(image);
    auto response = Call(&v1::ContreeService::StubInterface::GetImageLineage, request);
    if (!response.ok()) return response.status();
    return response->lineage();
  }
  absl::StatusOr<std::vector<v1::ImageOrigin>> Origins(int limit) {
    const CallContext context = NewCallContext(absl::Seconds(20));
    OutgoingCall call(context);
    v1::ListImageOriginsRequest request;
    request.set_limit(limit);
    const auto reader = stub_->ListImageOrigins(call.client_context(), request);
    std::vector<v1::ImageOrigin> origins;
    v1::ListImageOriginsResponse response;
    while (reader->Read(&response)) {
      origins.insert(origins.end(), response.origins().begin(), response.origins().end());
    }
    const grpc::Status status = reader->Finish();
    if (!status.ok()) return FromGrpcStatus(status);
    return origins;
  }
};

TEST_F(LineageTest, ImagesMadeElsewhereAreKnownFromTheListOfOperations) {
  SetList({Listed(5, 3, 3), Listed(4, 2, 4), Listed(3, 2, 3), Listed(2, 1, 2), Listed(1, -1, 1)});
  SetRun(3, 2, 3, "make install", 7);
  api_.On("GET /v1/operations/" + Id(1), 200,
          absl::StrCat(R"({"uuid":")", Id(1), R"(","kind":"image_import","status":"SUCCESS",)",
                       R"("result_image_uuid":")", ImageId(1),
                       R"(","metadata":{"registry":{"url":"docker://docker.io/library/a:b"}}})"));
  ASSERT_OK_AND_ASSIGN(const v1::ImageLineage leaf, Lineage(ImageId(3)));
  EXPECT_TRUE(leaf.is_known());
  EXPECT_EQ(leaf.parent().image(), ImageId(2));
  EXPECT_EQ(leaf.parent().command(), "make install");
  EXPECT_EQ(leaf.parent().exit_code(), 7);
  EXPECT_EQ(leaf.parent().operation_id(), Id(3));
  EXPECT_THAT(leaf.ancestors(), ElementsAre(ImageId(2), ImageId(1)));
  EXPECT_EQ(leaf.depth(), 2);
  EXPECT_EQ(leaf.children_size(), 0);
  EXPECT_EQ(leaf.root().image(), ImageId(1));
  EXPECT_TRUE(leaf.root().is_import());
  EXPECT_EQ(leaf.root().registry_url(), "docker://docker.io/library/a:b");

  ASSERT_OK_AND_ASSIGN(const v1::ImageLineage middle, Lineage(ImageId(2)));
  EXPECT_THAT(middle.children(), ElementsAre(ImageId(3), ImageId(4)));
  ASSERT_OK_AND_ASSIGN(const v1::ImageLineage root, Lineage(ImageId(1)));
  EXPECT_FALSE(root.has_parent());
  EXPECT_EQ(root.depth(), 0);
  EXPECT_EQ(root.root().image(), ImageId(1));
  EXPECT_THAT(root.children(), ElementsAre(ImageId(2)));
  // What is detailed is not asked for again.
  EXPECT_EQ(api_.Count("GET /v1/operations/" + Id(1)), 1);
}

TEST_F(LineageTest, AllOriginsAreListedInBoundedMessages) {
  std::vector<std::string> list;
  for (int image = 59; image >= 2; --image) list.push_back(Listed(image, 1, image));
  list.push_back(Listed(1, -1, 1));
  SetList(list);
  ASSERT_OK_AND_ASSIGN(const std::vector<v1::ImageOrigin> all, Origins(0));
  ASSERT_EQ(all.size(), 59);
  EXPECT_EQ(all.front().image(), ImageId(59));
  EXPECT_EQ(all.front().parent(), ImageId(1));
  EXPECT_EQ(all.front().operation_id(), Id(59));
  EXPECT_EQ(all.back().image(), ImageId(1));
  EXPECT_EQ(all.back().parent(), "");
  ASSERT_OK_AND_ASSIGN(const std::vector<v1::ImageOrigin> newest, Origins(2));
  EXPECT_EQ(newest.size(), 2);
  EXPECT_THAT(Origins(-1), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("limit is -1")));
}

TEST_F(LineageTest, WhatEndsLaterIsReadThen) {
  absl::Mutex mutex;
  std::string since;
  SetList({Listed(2, 1, -1, "EXECUTING"), Listed(1, -1, 1)});
  ASSERT_OK_AND_ASSIGN(const v1::ImageLineage before, Lineage(ImageId(1)));
  EXPECT_EQ(before.children_size(), 0);
  api_.On("GET /v1/operations", [&](HttpExchange& exchange) {
    absl::MutexLock lock(&mutex);
    since = exchange.Query("since").value_or("");
    exchange.Respond(200, "application/json",
                     absl::StrCat("[", Listed(3, 1, 3), ",", Listed(2, 1, 2), "]"));
  });
  ASSERT_OK_AND_ASSIGN(const v1::ImageLineage after, Lineage(ImageId(1)));
  EXPECT_THAT(after.children(), ElementsAre(ImageId(2), ImageId(3)));
  // Only what is new is asked for. (The one that still ran is older than a day by the real clock.)
  absl::MutexLock lock(&mutex);
  EXPECT_THAT(since, HasSubstr("2026-09-18T07:00:0"));
}

TEST_F(LineageTest, WhatTheListForgotTheImageSays) {
  SetList({Listed(9, 2, 3)});
  SetRun(9, 2, 3, "b", 0);
  SetRun(8, 1, 2, "a", 0);
  api_.On(absl::StrCat("GET /v1/inspect/", ImageId(2), "/"), 200,
          absl::StrCat(R"({"uuid":")", ImageId(2), R"(","operation_uuid":")", Id(8), "\"}"));
  ASSERT_OK_AND_ASSIGN(const v1::ImageLineage lineage, Lineage(ImageId(3)));
  EXPECT_THAT(lineage.ancestors(), ElementsAre(ImageId(2), ImageId(1)));
  EXPECT_EQ(lineage.root().image(), ImageId(1));
  EXPECT_FALSE(lineage.root().is_import());
}

TEST_F(LineageTest, AnUnknownImageIsNoErrorAndABrokenPlatformIs) {
  SetList({});
  ASSERT_OK_AND_ASSIGN(const v1::ImageLineage unknown, Lineage(ImageId(1)));
  EXPECT_FALSE(unknown.is_known());
  EXPECT_EQ(unknown.root().image(), ImageId(1));
  api_.On("GET /v1/operations", 400, R"({"error":"no such filter"})");
  EXPECT_THAT(Lineage(ImageId(1)),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("list of operations")));
  EXPECT_THAT(Lineage("tag:none"), StatusIs(absl::StatusCode::kNotFound, HasSubstr("none")));
}

TEST_F(LineageTest, ATokenThatMayNotListStillSeesWhatIsStored) {
  SetList({Listed(2, 1, 2)});
  ASSERT_OK(Lineage(ImageId(2)));
  api_.On("GET /v1/operations", 403, R"({"error":"no"})");
  ASSERT_OK_AND_ASSIGN(const v1::ImageLineage lineage, Lineage(ImageId(2)));
  EXPECT_EQ(lineage.parent().image(), ImageId(1));
}

}  // namespace
}  // namespace contree
