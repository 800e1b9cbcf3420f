#ifndef GATEWAY_TOOLS_JSON_SCHEMA_H_
#define GATEWAY_TOOLS_JSON_SCHEMA_H_

// A compiled JSON Schema (draft 7). Immutable, so thread-safe. Types are strict: "5" is no integer.

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace contree::gateway {

// One place where a value does not fit.
struct SchemaViolation {
  std::vector<std::string> path;  // names and indices from the root to the value
  std::string description;
};

class JsonSchema {
 public:
  // InvalidArgument: no schema. A reference to another document is refused: nothing is fetched.
  static absl::StatusOr<std::unique_ptr<JsonSchema>> Compile(const nlohmann::json& schema);
  virtual ~JsonSchema() = default;

  // Empty: the value fits.
  virtual std::vector<SchemaViolation> Check(const nlohmann::json& value) const = 0;
};

}  // namespace contree::gateway

#endif  // GATEWAY_TOOLS_JSON_SCHEMA_H_
