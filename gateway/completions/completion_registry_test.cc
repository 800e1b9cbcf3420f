#include "gateway/completions/completion_registry.h"

#include <nlohmann/json.hpp>

#include "common/testing/status_matchers.h"
#include "gateway/jsonrpc/error.h"

namespace contree::gateway {
namespace {

using nlohmann::json;

absl::StatusOr<PromptOutput> NoMessages(const PromptArguments&, RequestContext&, const Services&) {
  return PromptOutput{};
}

absl::StatusOr<std::vector<std::string>> Count(const CompletionRequest& request, RequestContext&,
                                               const Services&) {
  const size_t count = request.arguments.contains("many") ? 101 : 2;
  std::vector<std::string> values;
  for (size_t i = 0; i < count; ++i) values.push_back(request.value + std::to_string(i));
  return values;
}

class CompletionRegistryTest : public testing::Test {
 protected:
  json Complete(const char* params) {
    const auto result = registry_.Complete(json::parse(params), context_);
    return result.ok() ? json::parse(*result)["completion"] : json(JsonRpcCode(result.status()));
  }

  Services services_;
  RequestContext context_;
  PromptRegistry prompts_{
      {{.name = "p", .title = "", .description = "", .arguments = {}, .handler = NoMessages}},
      services_};
  ResourceRegistry resources_{{}, {}, services_};
  CompletionRegistry registry_{
      {{CompletionReference::kPrompt, "p", "a", Count}}, prompts_, resources_, services_};
};

TEST_F(CompletionRegistryTest, OffersTheFirstHundred) {
  EXPECT_EQ(Complete(R"({"ref":{"type":"ref/prompt","name":"p"},
                         "argument":{"name":"a","value":"x"}})"),
            json::parse(R"({"values":["x0","x1"],"total":2,"hasMore":false})"));
  const json many = Complete(R"({"ref":{"type":"ref/prompt","name":"p"},
      "argument":{"name":"a","value":""},"context":{"arguments":{"many":"yes"}}})");
  EXPECT_EQ(many["values"].size(), 100U);
  EXPECT_EQ(many["total"], 101);
  EXPECT_EQ(many["hasMore"], true);
}

TEST_F(CompletionRegistryTest, WhatHasNoCompletionGetsNoValues) {
  EXPECT_EQ(Complete(R"({"ref":{"type":"ref/prompt","name":"p"},
                         "argument":{"name":"b","value":""}})")["values"],
            json::array());
}

TEST_F(CompletionRegistryTest, WhatDoesNotExistIsAnError) {
  for (const char* params :
       {R"({})", R"({"ref":"p","argument":{"name":"a","value":""}})",
        R"({"ref":{"type":"ref/prompt","name":"q"},"argument":{"name":"a","value":""}})",
        R"({"ref":{"type":"ref/resource","uri":"x://{y}"},"argument":{"name":"y","value":""}})",
        R"({"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a","value":1}})",
        R"({"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a"}})",
        R"({"ref":{"type":"ref/tool","name":"p"},"argument":{"name":"a","value":""}})"}) {
    EXPECT_EQ(Complete(params), kInvalidParamsCode) << params;
  }
}

}  // namespace
}  // namespace contree::gateway
