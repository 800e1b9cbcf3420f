// Every tool keeps the rules that all clients together make, and tools/list is what the golden file
// says. Write the file anew with: bazel run //gateway/tools:write_tools_list_golden

#include "gateway/tools/tool_table.h"

#include <fstream>
#include <set>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "common/testing/status_matchers.h"
#include "gateway/jsonrpc/error.h"
#include "gateway/testing/fake_backend.h"
#include "gateway/tools/arguments.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using testing::HasSubstr;

// Cursor, VS Code, Gemini and others drop tools whose schemas break one of these.
void CheckSchema(const json& schema, const std::string& where) {
  ASSERT_TRUE(schema.is_object()) << where << ": no boolean schemas";
  ASSERT_TRUE(schema.contains("type") && schema["type"].is_string()) << where << ": one type";
  for (const char* key : {"anyOf", "oneOf", "allOf", "not", "if", "$ref", "patternProperties"}) {
    EXPECT_FALSE(schema.contains(key)) << where << ": " << key;
  }
  if (schema["type"] == "array") {
    ASSERT_TRUE(schema.contains("items")) << where << ": arrays have items";
    CheckSchema(schema["items"], where + "[]");
  }
  if (schema.contains("required")) {
    ASSERT_TRUE(schema["required"].is_array()) << where;
    for (const json& name : schema["required"]) {
      EXPECT_TRUE(schema["properties"].contains(name)) << where << " requires undeclared " << name;
    }
  }
  if (schema.contains("additionalProperties")) {
    CheckSchema(schema["additionalProperties"], where + "{}");
  }
  if (schema.contains("properties")) {
    for (const auto& [name, property] : schema["properties"].items()) {
      CheckSchema(property, absl::StrCat(where, ".", name));
    }
  }
}

TEST(ToolTableTest, SchemasAreOfTheKindThatAllClientsTake) {
  for (const Tool& tool : ToolTable()) {
    for (const std::string* text : {&tool.input_schema, &tool.output_schema}) {
      const json schema = json::parse(*text, nullptr, /*allow_exceptions=*/false);
      ASSERT_FALSE(schema.is_discarded()) << tool.name << ": " << *text;
      CheckSchema(schema, tool.name);
      EXPECT_EQ(schema.value("type", ""), "object") << tool.name;
      EXPECT_OK(JsonSchema::Compile(schema)) << tool.name;
    }
    EXPECT_OK(ArgumentChecker::Create(tool.input_schema)) << tool.name;
  }
}

TEST(ToolTableTest, EveryInputPropertyIsDescribedAndItsDefaultFits) {
  for (const Tool& tool : ToolTable()) {
    const json schema = json::parse(tool.input_schema);
    for (const auto& [name, property] : schema["properties"].items()) {
      EXPECT_FALSE(property.value("description", "").empty()) << tool.name << "." << name;
      if (!property.contains("default")) continue;
      const auto compiled = JsonSchema::Compile(property);
      ASSERT_OK(compiled);
      EXPECT_TRUE((*compiled)->Check(property["default"]).empty()) << tool.name << "." << name;
    }
  }
}

TEST(ToolTableTest, NamesAreUniqueAndFitEveryClientsLimit) {
  std::set<std::string> names;
  for (const Tool& tool : ToolTable()) {
    EXPECT_TRUE(names.insert(tool.name).second) << tool.name;
    // Claude Code puts "mcp__contree__" or so in front and takes 64 in all.
    EXPECT_LE(tool.name.size(), 40U);
    EXPECT_EQ(tool.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string::npos);
    EXPECT_FALSE(tool.title.empty()) << tool.name;
    EXPECT_GT(tool.description.size(), 80U) << tool.name << ": an agent has only this";
    EXPECT_NE(tool.handler, nullptr) << tool.name;
  }
}

TEST(ToolTableTest, AnnotationsAreWhatWasDecided) {
  const std::set<std::string> read_only = {
      "list_images",     "get_image", "list_files", "read_file", "get_operation",
      "list_operations", "grep",      "whoami",     "get_guide", "registry_token_obtain"};
  const std::set<std::string> destructive = {"set_tag",  "cancel_operation", "wait_operations",
                                             "download", "import_image",     "registry_auth"};
  const std::set<std::string> open_world = {"run", "import_image", "registry_auth",
                                            "registry_token_obtain"};
  for (const Tool& tool : ToolTable()) {
    EXPECT_EQ(tool.annotations.read_only, read_only.contains(tool.name)) << tool.name;
    EXPECT_EQ(tool.annotations.destructive, destructive.contains(tool.name)) << tool.name;
    EXPECT_EQ(tool.annotations.idempotent, tool.name != "run") << tool.name;
    EXPECT_EQ(tool.annotations.open_world, open_world.contains(tool.name)) << tool.name;
  }
}

TEST(ToolTableTest, ToolsListEqualsTheGoldenFile) {
  std::ifstream file("gateway/tools/testdata/tools_list.golden.json");
  std::stringstream golden;
  golden << file.rdbuf();
  FakeBackend backend;
  EXPECT_EQ(nlohmann::ordered_json::parse(backend.tools().ListJson()).dump(2) + "\n", golden.str())
      << "if this is meant: bazel run //gateway/tools:write_tools_list_golden";
}

TEST(ToolRegistryTest, AnUnknownToolIsAProtocolErrorThatListsTheKnownOnes) {
  FakeBackend backend;
  RequestContext context;
  const absl::Status status = backend.tools().Call("rum", json::object(), context).status();
  EXPECT_EQ(JsonRpcCode(status), kInvalidParamsCode);
  EXPECT_THAT(std::string(status.message()), HasSubstr("run, import_image, list_images"));
}

TEST(ToolRegistryTest, ArgumentsThatAreNoObjectAreAnErrorOfTheTool) {
  FakeBackend backend;
  EXPECT_THAT(backend.CallError("get_image", json::array({1})), HasSubstr("must be an object"));
  EXPECT_THAT(backend.CallError("get_image", "tag:x"), HasSubstr("not a string"));
}

}  // namespace
}  // namespace contree::gateway
