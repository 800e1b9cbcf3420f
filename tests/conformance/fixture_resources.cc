// The suite's resources, and completions of their variables.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/conformance/fixtures.h"

namespace contree::conformance {
namespace {

using gateway::RequestContext;
using gateway::Resource;
using gateway::ResourceContent;
using gateway::ResourceRequest;
using gateway::Services;

absl::StatusOr<ResourceContent> StaticText(const ResourceRequest&, RequestContext&,
                                           const Services&) {
  return ResourceContent{.mime_type = "text/plain",
                         .data = "This is the content of the static text resource."};
}

absl::StatusOr<ResourceContent> StaticBinary(const ResourceRequest&, RequestContext&,
                                             const Services&) {
  return ResourceContent{.mime_type = "image/png", .data = RedPixelPng(), .is_text = false};
}

absl::StatusOr<ResourceContent> TemplateData(const ResourceRequest& request, RequestContext&,
                                             const Services&) {
  const std::string& id = request.parameters.at("id");
  const nlohmann::ordered_json data = {
      {"id", id}, {"templateTest", true}, {"data", absl::StrCat("Data for ID: ", id)}};
  return ResourceContent{.mime_type = "application/json", .data = data.dump()};
}

absl::StatusOr<std::vector<std::string>> CompleteId(const gateway::CompletionRequest& request,
                                                    RequestContext&, const Services&) {
  std::vector<std::string> ids;
  for (const char* id : {"123", "124", "456"}) {
    if (absl::StartsWith(id, request.value)) ids.emplace_back(id);
  }
  return ids;
}

absl::StatusOr<std::vector<std::string>> CompleteWord(const gateway::CompletionRequest& request,
                                                      RequestContext&, const Services&) {
  std::vector<std::string> words;
  for (const char* word : {"paris", "park", "party"}) {
    if (absl::StartsWith(word, request.value)) words.emplace_back(word);
  }
  return words;
}

}  // namespace

std::vector<Resource> FixtureResources() {
  return {
      {.uri = "test://static-text",
       .name = "static-text",
       .title = "Static text",
       .description = "A text that never changes.",
       .mime_type = "text/plain",
       .handler = StaticText},
      {.uri = "test://static-binary",
       .name = "static-binary",
       .title = "Static image",
       .description = "A picture that never changes.",
       .mime_type = "image/png",
       .handler = StaticBinary},
      {.uri = "test://watched-resource",
       .name = "watched-resource",
       .title = "Watched text",
       .description = "A text to subscribe to.",
       .mime_type = "text/plain",
       .handler = StaticText},
  };
}

std::vector<gateway::ResourceTemplate> FixtureResourceTemplates() {
  return {{.uri_template = "test://template/{id}/data",
           .name = "template-data",
           .title = "Data by its id",
           .description = "Says which id it was asked for.",
           .mime_type = "application/json",
           .handler = TemplateData}};
}

std::vector<gateway::Completion> FixtureCompletions() {
  return {
      {gateway::CompletionReference::kPrompt, "test_prompt_with_arguments", "arg1", CompleteWord},
      {gateway::CompletionReference::kResourceTemplate, "test://template/{id}/data", "id",
       CompleteId},
  };
}

}  // namespace contree::conformance
