#include "gateway/resources/resource_registry.h"

#include <nlohmann/json.hpp>

#include "common/testing/status_matchers.h"
#include "gateway/jsonrpc/error.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using testing::HasSubstr;

absl::StatusOr<ResourceContent> Echo(const ResourceRequest& request, RequestContext&,
                                     const Services&) {
  const auto name = request.parameters.find("name");
  return ResourceContent{.mime_type = "text/plain",
                         .data = name == request.parameters.end() ? request.uri : name->second};
}

absl::StatusOr<ResourceContent> Missing(const ResourceRequest&, RequestContext&, const Services&) {
  return absl::NotFoundError("gone");
}

std::vector<Resource> Resources() {
  return {{.uri = "test://one",
           .name = "one",
           .title = "One",
           .description = "The one.",
           .mime_type = "text/plain",
           .cache = {.ttl = absl::Seconds(5), .scope = CacheScope::kPublic},
           .handler = Echo}};
}

std::vector<ResourceTemplate> Templates() {
  return {{.uri_template = "test://thing/{name}",
           .name = "thing",
           .title = "",
           .description = "",
           .mime_type = "",
           .handler = Echo},
          {.uri_template = "test://missing/{name}",
           .name = "missing",
           .title = "",
           .description = "",
           .mime_type = "",
           .handler = Missing}};
}

class ResourceRegistryTest : public testing::Test {
 protected:
  Services services_;
  RequestContext context_;
  ResourceRegistry registry_{Resources(), Templates(), services_};
};

TEST_F(ResourceRegistryTest, ListsWhatIsSet) {
  EXPECT_EQ(json::parse(registry_.ListJson()), json::parse(R"({"resources":[{"uri":"test://one",
      "name":"one","title":"One","description":"The one.","mimeType":"text/plain"}]})"));
  EXPECT_EQ(json::parse(registry_.TemplatesJson())["resourceTemplates"][0],
            json::parse(R"({"uriTemplate":"test://thing/{name}","name":"thing"})"));
}

TEST_F(ResourceRegistryTest, ReadsByUriAndByTemplate) {
  ASSERT_OK_AND_ASSIGN(const auto one, registry_.Read("test://one", context_));
  EXPECT_EQ(one.content.data, "test://one");
  EXPECT_EQ(one.cache.ttl, absl::Seconds(5));
  ASSERT_OK_AND_ASSIGN(const auto thing, registry_.Read("test://thing/a%2Fb", context_));
  EXPECT_EQ(thing.content.data, "a/b");
}

TEST_F(ResourceRegistryTest, WhatIsNotThereIsNotFoundWithItsUri) {
  for (const char* uri : {"test://two", "test://missing/x", ""}) {
    const absl::Status status = registry_.Read(uri, context_).status();
    EXPECT_EQ(JsonRpcCode(status), kResourceNotFoundCode) << uri;
    EXPECT_EQ(json::parse(JsonRpcErrorData(status))["uri"], uri);
  }
  EXPECT_THAT(std::string(registry_.Read("test://missing/x", context_).status().message()),
              HasSubstr("gone"));
}

TEST_F(ResourceRegistryTest, WhatCannotChangeIsNotWatched) {
  EXPECT_FALSE(registry_.HasWatches());
  ASSERT_OK_AND_ASSIGN(const auto watch, registry_.Watch("test://one", {}, [](bool) {}));
  EXPECT_EQ(watch, nullptr);
  EXPECT_EQ(JsonRpcCode(registry_.Watch("test://two", {}, [](bool) {}).status()),
            kResourceNotFoundCode);
}

}  // namespace
}  // namespace contree::gateway
