// Nothing of the surface that agents and prompts were written for is missing: each tool with its
// parameters, defaults and results, each resource, prompt and guide, under its name.

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "gateway/guides/guide_table.h"
#include "gateway/prompts/prompt_table.h"
#include "gateway/resources/resource_table.h"
#include "gateway/tools/tool_table.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using nlohmann::json;

// Tool → parameters → what it is when it is left out: "required", "optional" (nothing), or a
// default.
constexpr char kParameters[] = R"({
  "run": {
    "command": "required", "image": "required", "shell": [true], "args": [[]], "env": [{}],
    "cwd": [""], "timeout": [30], "disposable": [true], "stdin": "optional",
    "directory_state_id": "optional", "files": [{}], "wait": [true], "truncate_output_at": [8000],
    "uid": [0], "gid": [0], "hostname": ["linuxkit"], "preserve_env": [false],
    "max_layer_bytes": [12884901888], "networking": [true]
  },
  "import_image": {
    "registry_url": "required", "tag": "optional", "wait": [true], "timeout": [300],
    "i_accept_that_anonymous_access_might_be_rate_limited": [false]
  },
  "list_images": {
    "limit": [100], "offset": [0], "tagged": [false], "tag_prefix": "optional",
    "since": "optional", "until": "optional"
  },
  "get_image": {"image": "required"},
  "set_tag": {"image_uuid": "required", "tag": "optional"},
  "rsync": {"source": "required", "destination": "required", "exclude": [[]]},
  "upload": {"path": "optional", "content": "optional", "content_base64": "optional"},
  "download": {
    "image": "required", "path": "required", "destination": "required", "executable": [false]
  },
  "list_files": {"image": "required", "path": ["/"]},
  "read_file": {"image": "required", "path": "required"},
  "grep": {
    "image": "required", "pattern": "required", "path": ["/"], "glob": "optional",
    "max_count": "optional", "max_total": [1000], "case": ["sensitive"]
  },
  "list_operations": {
    "limit": [100], "status": "optional", "type": "optional", "since": "optional"
  },
  "get_operation": {"operation_id": "required"},
  "wait_operations": {"operation_ids": "required", "timeout": [300], "mode": ["all"]},
  "cancel_operation": {"operation_id": "required"},
  "registry_token_obtain": {"registry_url": "required"},
  "registry_auth": {"registry_url": "required", "username": "required", "token": "required"},
  "whoami": {},
  "get_guide": {"section": "required"}
})";

constexpr char kResults[] = R"({
  "run": "operation",
  "import_image": "operation",
  "list_images": ["images"],
  "get_image": ["uuid", "tag", "created_at", "operation_id"],
  "set_tag": ["uuid", "tag", "created_at"],
  "rsync": ["directory_state_id", "files", "uploaded_files", "uploaded_bytes", "reused_files",
            "deleted_files", "duration_seconds"],
  "upload": ["uuid", "sha256", "size"],
  "download": ["success", "source", "destination", "size", "executable"],
  "list_files": ["path", "count", "files"],
  "read_file": ["path", "content", "encoding", "size"],
  "grep": ["path", "patterns", "truncated", "matches"],
  "list_operations": ["operations"],
  "get_operation": "operation",
  "wait_operations": ["results", "completed", "pending", "cancelled", "timed_out"],
  "cancel_operation": ["cancelled", "operation_id", "state"],
  "registry_token_obtain": ["status", "registry", "url", "message", "agent_instruction"],
  "registry_auth": ["status", "registry", "message"],
  "whoami": ["token_uuid", "token_expiration", "permissions", "limits", "operations", "api_url",
             "version"],
  "get_guide": ["section", "content", "available_sections"]
})";

constexpr char kOperation[] = R"([
  "operation_id", "kind", "state", "error", "image", "result_image", "result_tag",
  "filesystem_changed", "exit_code", "signal", "timed_out", "stdout", "stderr", "stdout_truncated",
  "stderr_truncated", "duration_seconds", "resources"
])";

// Prompt → arguments → "required", "optional" or the default.
constexpr char kPrompts[] = R"({
  "prepare-environment": {
    "task": "required", "base": ["python:3.11-slim"], "project": "optional", "packages": "optional"
  },
  "run-python": {"code": "required"},
  "run-shell": {"command": "required", "image": ["ubuntu:noble"]},
  "sync-and-run": {"source": "required", "command": "required", "image": ["alpine:latest"]},
  "install-packages": {"packages": "required", "image": ["ubuntu:noble"]},
  "parallel-tasks": {"tasks": "required", "image": ["ubuntu:noble"]},
  "build-project": {
    "source": "required", "install_cmd": ["pip install -e ."], "test_cmd": ["pytest"]
  },
  "debug-failure": {"operation_id": "required"},
  "inspect-image": {"image": "required"},
  "multi-stage-build": {
    "source": "required", "install_cmd": "required", "build_cmd": ["python -m build"],
    "test_cmd": ["pytest"]
  }
})";

// A parameter of a JSON Schema in the words of kParameters.
json ParameterOf(const json& schema, const std::string& name) {
  const json required = schema.value("required", json::array());
  if (std::find(required.begin(), required.end(), name) != required.end()) return "required";
  const json& property = schema.at("properties").at(name);
  return property.contains("default") ? json::array({property.at("default")}) : json("optional");
}

TEST(SurfaceTest, EveryToolHasItsParametersAndDefaults) {
  json served = json::object();
  for (const Tool& tool : ToolTable()) {
    const json schema = json::parse(tool.input_schema);
    json& parameters = served[tool.name] = json::object();
    for (const auto& [name, property] : schema.at("properties").items()) {
      parameters[name] = ParameterOf(schema, name);
    }
  }
  EXPECT_EQ(served, json::parse(kParameters));
}

TEST(SurfaceTest, EveryResultHasItsMembers) {
  const json results = json::parse(kResults);
  for (const Tool& tool : ToolTable()) {
    ASSERT_TRUE(results.contains(tool.name)) << tool.name;
    json members = results[tool.name];
    if (members == "operation") members = json::parse(kOperation);
    const json properties = json::parse(tool.output_schema).at("properties");
    for (const json& member : members) {
      EXPECT_TRUE(properties.contains(member)) << tool.name << " returns no " << member;
    }
  }
}

TEST(SurfaceTest, BoundsAreAsTheyWereSaid) {
  std::map<std::string, json> schemas;
  for (const Tool& tool : ToolTable()) {
    schemas[tool.name] = json::parse(tool.input_schema).at("properties");
  }
  EXPECT_EQ(schemas["run"]["timeout"]["maximum"], 3600);
  EXPECT_EQ(schemas["list_images"]["limit"]["minimum"], 1);
  EXPECT_EQ(schemas["list_images"]["limit"]["maximum"], 1000);
  EXPECT_EQ(schemas["grep"]["case"]["enum"], json({"sensitive", "insensitive", "smart"}));
  EXPECT_EQ(schemas["wait_operations"]["mode"]["enum"], json({"all", "any"}));
}

TEST(SurfaceTest, EveryResourceIsThere) {
  std::set<std::string> templates;
  for (const ResourceTemplate& known : ResourceTemplateTable())
    templates.insert(known.uri_template);
  EXPECT_EQ(templates,
            (std::set<std::string>{
                "contree://image/{image}/read/{path}", "contree://image/{image}/ls/{path}",
                "contree://image/{image}/lineage", "contree://operations/instance/{operation_id}",
                "contree://operations/import/{operation_id}", "contree://guide/{section}"}));
  std::set<std::string> resources;
  for (const Resource& known : ResourceTable()) resources.insert(known.uri);
  EXPECT_EQ(resources,
            (std::set<std::string>{"contree://guide/workflow", "contree://guide/reference",
                                   "contree://guide/quickstart", "contree://guide/state",
                                   "contree://guide/async", "contree://guide/tagging",
                                   "contree://guide/errors"}));
}

TEST(SurfaceTest, EveryPromptHasItsArgumentsAndDefaults) {
  json served = json::object();
  for (const Prompt& prompt : PromptTable()) {
    json& arguments = served[prompt.name] = json::object();
    for (const PromptArgument& argument : prompt.arguments) {
      EXPECT_FALSE(argument.required && argument.default_value.has_value()) << prompt.name;
      EXPECT_FALSE(argument.description.empty()) << prompt.name << "." << argument.name;
      arguments[argument.name] = argument.required ? json("required")
                                 : argument.default_value.has_value()
                                     ? json::array({*argument.default_value})
                                     : json("optional");
    }
    EXPECT_FALSE(prompt.title.empty()) << prompt.name;
    EXPECT_FALSE(prompt.description.empty()) << prompt.name;
  }
  EXPECT_EQ(served, json::parse(kPrompts));
}

}  // namespace
}  // namespace contree::gateway
