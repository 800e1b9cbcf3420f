#ifndef GATEWAY_TOOLS_IMAGE_JSON_H_
#define GATEWAY_TOOLS_IMAGE_JSON_H_

// Images as tools return them. Thread-safe.

#include <nlohmann/json.hpp>

#include "absl/strings/string_view.h"
#include "contree/v1/image.pb.h"

namespace contree::gateway {

// uuid, tag, created_at, operation_id; what nobody knows is left out.
nlohmann::ordered_json ImageJson(const contree::v1::Image& image);

// Its JSON Schema.
inline constexpr absl::string_view kImageSchema = R"({
  "type": "object",
  "required": ["uuid"],
  "properties": {
    "uuid": {"type": "string", "description": "Names exactly this file system for ever."},
    "tag": {"type": "string", "description": "Name that points at it now; absent: none."},
    "created_at": {"type": "string", "description": "RFC 3339, UTC."},
    "operation_id": {"type": "string", "description": "The operation that made it, where known."}
  }
})";

}  // namespace contree::gateway

#endif  // GATEWAY_TOOLS_IMAGE_JSON_H_
