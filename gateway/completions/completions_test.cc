// What completion/complete offers.

#include <nlohmann/json.hpp>
#include <string>

#include "common/testing/status_matchers.h"
#include "gateway/testing/fake_backend.h"

namespace contree::gateway {
namespace {

using nlohmann::json;

class CompletionsTest : public testing::Test {
 protected:
  json Values(const json& reference, const std::string& argument, const std::string& value) {
    RequestContext context;
    context.call = NewCallContext(absl::Seconds(60));
    const auto result = backend_.completions().Complete(
        {{"ref", reference}, {"argument", {{"name", argument}, {"value", value}}}}, context);
    EXPECT_OK(result);
    return result.ok() ? json::parse(*result).at("completion").at("values") : json();
  }
  json OfTemplate(const std::string& uri, const std::string& argument, const std::string& value) {
    return Values({{"type", "ref/resource"}, {"uri", uri}}, argument, value);
  }
  json OfPrompt(const std::string& name, const std::string& argument, const std::string& value) {
    return Values({{"type", "ref/prompt"}, {"name", name}}, argument, value);
  }
  void AddImage(const std::string& tag) {
    contree::v1::Image image;
    image.set_uuid("image-of-" + tag);
    image.set_tag(tag);
    backend_.service().AddImage(image);
  }

  FakeBackend backend_;
};

TEST_F(CompletionsTest, SectionsOfTheGuides) {
  EXPECT_EQ(OfTemplate("contree://guide/{section}", "section", "").size(), 7U);
  EXPECT_EQ(OfTemplate("contree://guide/{section}", "section", "e"), json::array({"errors"}));
  EXPECT_EQ(OfTemplate("contree://guide/{section}", "section", "x"), json::array());
}

TEST_F(CompletionsTest, ImagesByTheirTagsWithAndWithoutTheirPrefix) {
  AddImage("alpine:latest");
  AddImage("tagger:1");
  const std::string uri = "contree://image/{image}/read/{path}";
  EXPECT_EQ(OfTemplate(uri, "image", ""),
            json({"tag:busybox:latest", "tag:alpine:latest", "tag:tagger:1"}));
  EXPECT_EQ(OfTemplate(uri, "image", "tag:a"), json::array({"tag:alpine:latest"}));
  EXPECT_EQ(OfPrompt("run-shell", "image", "alp"), json::array({"alpine:latest"}));
  // Both begin so.
  EXPECT_EQ(OfPrompt("run-shell", "image", "tag"),
            json({"tag:busybox:latest", "tag:alpine:latest", "tag:tagger:1", "tagger:1"}));
  EXPECT_EQ(OfPrompt("inspect-image", "image", "zzz"), json::array());
}

TEST_F(CompletionsTest, TheServiceIsAskedForTheBeginningOnly) {
  OfPrompt("run-shell", "image", "tag:alp");
  OfPrompt("run-shell", "image", "ta");
  const auto asked = backend_.service().calls().list_images;
  ASSERT_EQ(asked.size(), 2U);
  EXPECT_EQ(asked[0].tag_prefix(), "alp");
  EXPECT_TRUE(asked[0].tagged());
  EXPECT_EQ(asked[1].tag_prefix(), "");
}

TEST_F(CompletionsTest, IdsOfOperationsOfTheRightKind) {
  backend_.service().AddOperation("01a");
  backend_.service().AddOperation("01b");
  EXPECT_EQ(OfTemplate("contree://operations/instance/{operation_id}", "operation_id", "01"),
            json({"01a", "01b"}));
  EXPECT_EQ(OfPrompt("debug-failure", "operation_id", "01b"), json::array({"01b"}));
  OfTemplate("contree://operations/import/{operation_id}", "operation_id", "");
  const auto asked = backend_.service().calls().list_operations;
  ASSERT_EQ(asked.size(), 3U);
  EXPECT_EQ(asked[0].kind(), contree::v1::OPERATION_KIND_INSTANCE);
  EXPECT_EQ(asked[1].kind(), contree::v1::OPERATION_KIND_UNSPECIFIED);
  EXPECT_EQ(asked[2].kind(), contree::v1::OPERATION_KIND_IMAGE_IMPORT);
}

}  // namespace
}  // namespace contree::gateway
