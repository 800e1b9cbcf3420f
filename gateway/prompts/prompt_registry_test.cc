#include "gateway/prompts/prompt_registry.h"

#include "common/testing/status_matchers.h"
#include "gateway/jsonrpc/error.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using testing::HasSubstr;

absl::StatusOr<PromptOutput> Show(const PromptArguments& arguments, RequestContext&,
                                  const Services&) {
  std::string text;
  for (const auto& [name, value] : arguments) text += name + "=" + value + ";";
  return PromptOutput{.messages = {{.content = TextContent(text)}}};
}

std::vector<Prompt> Prompts() {
  return {{.name = "show",
           .title = "Show",
           .description = "Shows.",
           .arguments = {{.name = "a", .description = "the first", .required = true},
                         {.name = "b", .description = "the second", .default_value = "2"},
                         {.name = "c", .description = "the third"}},
           .handler = Show}};
}

class PromptRegistryTest : public testing::Test {
 protected:
  std::string Text(const json& arguments) {
    const auto output = registry_.Get("show", arguments, context_);
    return output.ok() ? output->messages.at(0).content.at("text").get<std::string>()
                       : std::string(output.status().message());
  }

  Services services_;
  RequestContext context_;
  PromptRegistry registry_{Prompts(), services_};
};

TEST_F(PromptRegistryTest, DefaultsCompleteWhatTheClientGave) {
  EXPECT_EQ(Text({{"a", "1"}}), "a=1;b=2;");
  EXPECT_EQ(Text({{"a", "1"}, {"b", "x"}, {"c", "y"}}), "a=1;b=x;c=y;");
  EXPECT_EQ(Text({{"a", "1"}, {"b", ""}, {"c", ""}}), "a=1;b=2;");
}

TEST_F(PromptRegistryTest, MistakesSayWhatToMend) {
  EXPECT_THAT(Text(nullptr), HasSubstr("needs the argument 'a': the first"));
  EXPECT_THAT(Text({{"a", ""}}), HasSubstr("needs the argument 'a'"));
  EXPECT_THAT(Text({{"a", 1}}), HasSubstr("must be a string"));
  EXPECT_THAT(Text({{"a", "1"}, {"d", "1"}}), HasSubstr("it takes a, b, c"));
  EXPECT_THAT(Text("text"), HasSubstr("an object of strings"));
  const absl::Status unknown = registry_.Get("shew", nullptr, context_).status();
  EXPECT_EQ(JsonRpcCode(unknown), kInvalidParamsCode);
  EXPECT_THAT(std::string(unknown.message()), HasSubstr("the prompts are show"));
}

TEST_F(PromptRegistryTest, ListsArguments) {
  EXPECT_EQ(json::parse(registry_.ListJson())["prompts"][0]["arguments"][0],
            json::parse(R"({"name":"a","description":"the first","required":true})"));
}

}  // namespace
}  // namespace contree::gateway
