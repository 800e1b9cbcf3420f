#ifndef GATEWAY_MCP_CONTENT_H_
#define GATEWAY_MCP_CONTENT_H_

// MCP's content blocks, as results of tools and messages of prompts hold them. Binary data is given
// as bytes and becomes base64 here. Thread-safe.

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/strings/string_view.h"

namespace contree::gateway {

// Bytes of `text` that are no UTF-8 are replaced when it is sent.
nlohmann::ordered_json TextContent(absl::string_view text);
nlohmann::ordered_json ImageContent(absl::string_view bytes, absl::string_view mime_type);
nlohmann::ordered_json AudioContent(absl::string_view bytes, absl::string_view mime_type);

// A resource's content inside the answer.
nlohmann::ordered_json EmbeddedText(absl::string_view uri, absl::string_view mime_type,
                                    absl::string_view text);
nlohmann::ordered_json EmbeddedBlob(absl::string_view uri, absl::string_view mime_type,
                                    absl::string_view bytes);

// A resource that the client may read. What is empty is left out, except uri and name.
struct LinkedResource {
  std::string uri;
  std::string name;
  std::string title = "";
  std::string description = "";
  std::string mime_type = "";
};
nlohmann::ordered_json ResourceLink(const LinkedResource& resource);

}  // namespace contree::gateway

#endif  // GATEWAY_MCP_CONTENT_H_
