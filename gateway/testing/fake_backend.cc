#include "gateway/testing/fake_backend.h"

#include <grpcpp/channel.h>

#include <cstdlib>
#include <iostream>

#include "gateway/completions/completion_table.h"
#include "gateway/prompts/prompt_table.h"
#include "gateway/resources/resource_table.h"
#include "gateway/tools/json_schema.h"
#include "gateway/tools/tool_table.h"
#include "gtest/gtest.h"

namespace contree::gateway {

using nlohmann::json;

FakeBackend::FakeBackend() {
  contree::v1::Image image;
  image.set_uuid(kBusyboxUuid);
  image.set_tag("busybox:latest");
  service_.AddImage(image);
  auto server = GrpcServer::Start({}, {&service_, &registry_auth_, &sync_});
  if (!server.ok()) {
    std::cerr << server.status() << std::endl;
    std::abort();
  }
  grpc_server_ = *std::move(server);
  channel_ = grpc_server_->InProcessChannel();
  services_.contree = contree::v1::ContreeService::NewStub(channel_);
  services_.registry_auth = auth::v1::RegistryAuthService::NewStub(channel_);
  services_.sync = sync::v1::SyncService::NewStub(channel_);
  services_.workspace = Workspace::OfUser();
  tools_ = std::make_unique<ToolRegistry>(ToolTable(), services_);
  resources_ =
      std::make_unique<ResourceRegistry>(ResourceTable(), ResourceTemplateTable(), services_);
  prompts_ = std::make_unique<PromptRegistry>(PromptTable(), services_);
  completions_ =
      std::make_unique<CompletionRegistry>(CompletionTable(), *prompts_, *resources_, services_);
  absl::StatusOr<TextSealer> sealer = TextSealer::OfNewKey();
  if (!sealer.ok()) {
    std::cerr << sealer.status() << std::endl;
    std::abort();
  }
  sealer_ = std::make_unique<TextSealer>(*std::move(sealer));
  server_ = std::make_unique<McpServer>(Catalog{*tools_, *resources_, *prompts_, *completions_},
                                        *sealer_);
}

FakeBackend::~FakeBackend() { grpc_server_->Drain(absl::ZeroDuration()); }

json FakeBackend::Call(const std::string& tool, const json& arguments) {
  RequestContext context;
  context.call = NewCallContext(absl::Seconds(60));
  return Call(tool, arguments, context);
}

json FakeBackend::Call(const std::string& tool, const json& arguments, RequestContext& context) {
  const absl::StatusOr<ToolRegistry::Result> called = tools_->Call(tool, arguments, context);
  if (!called.ok()) {
    ADD_FAILURE() << tool << ": " << called.status();
    return json::object();
  }
  const std::string& text = called->json;
  json result = json::parse(text, nullptr, /*allow_exceptions=*/false);
  const json content = result.value("content", json::array());
  if (content.size() != 1 || content[0].value("type", "") != "text") {
    ADD_FAILURE() << "not one text: " << text;
    return json::object();
  }
  if (result.contains("structuredContent")) {
    const json& structured = result["structuredContent"];
    EXPECT_EQ(json::parse(content[0].value("text", ""), nullptr, false), structured);
    const auto schema = JsonSchema::Compile(json::parse(tools_->Find(tool)->output_schema));
    EXPECT_TRUE(schema.ok()) << schema.status();
    for (const SchemaViolation& violation : (*schema)->Check(structured)) {
      ADD_FAILURE() << tool << ": " << violation.description << " in " << structured;
    }
    // Members that the schema does not know are a mistake that no schema without
    // additionalProperties finds.
    const json properties = json::parse(tools_->Find(tool)->output_schema).at("properties");
    for (const auto& [name, value] : structured.items()) {
      EXPECT_TRUE(properties.contains(name)) << tool << " returned undeclared " << name;
    }
  } else {
    EXPECT_TRUE(result.value("isError", false)) << text;
  }
  return result;
}

json FakeBackend::CallOk(const std::string& tool, const json& arguments) {
  const json result = Call(tool, arguments);
  EXPECT_FALSE(result.value("isError", true)) << result;
  return result.value("structuredContent", json::object());
}

std::string FakeBackend::CallError(const std::string& tool, const json& arguments) {
  const json result = Call(tool, arguments);
  EXPECT_TRUE(result.value("isError", false)) << result;
  return result.contains("content") ? result["content"][0].value("text", "") : "";
}

}  // namespace contree::gateway
