#include "gateway/mcp/content.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/escaping.h"

namespace contree::gateway {
namespace {

using nlohmann::ordered_json;

ordered_json Binary(const char* type, absl::string_view bytes, absl::string_view mime_type) {
  return {
      {"type", type}, {"data", absl::Base64Escape(bytes)}, {"mimeType", std::string(mime_type)}};
}

ordered_json Embedded(absl::string_view uri, absl::string_view mime_type, const char* member,
                      std::string data) {
  ordered_json resource = {{"uri", std::string(uri)}, {"mimeType", std::string(mime_type)}};
  resource[member] = std::move(data);
  return {{"type", "resource"}, {"resource", std::move(resource)}};
}

}  // namespace

ordered_json TextContent(absl::string_view text) {
  return {{"type", "text"}, {"text", std::string(text)}};
}

ordered_json ImageContent(absl::string_view bytes, absl::string_view mime_type) {
  return Binary("image", bytes, mime_type);
}

ordered_json AudioContent(absl::string_view bytes, absl::string_view mime_type) {
  return Binary("audio", bytes, mime_type);
}

ordered_json EmbeddedText(absl::string_view uri, absl::string_view mime_type,
                          absl::string_view text) {
  return Embedded(uri, mime_type, "text", std::string(text));
}

ordered_json EmbeddedBlob(absl::string_view uri, absl::string_view mime_type,
                          absl::string_view bytes) {
  return Embedded(uri, mime_type, "blob", absl::Base64Escape(bytes));
}

ordered_json ResourceLink(const LinkedResource& resource) {
  ordered_json link = {{"type", "resource_link"}, {"uri", resource.uri}, {"name", resource.name}};
  if (!resource.title.empty()) link["title"] = resource.title;
  if (!resource.description.empty()) link["description"] = resource.description;
  if (!resource.mime_type.empty()) link["mimeType"] = resource.mime_type;
  return link;
}

}  // namespace contree::gateway
