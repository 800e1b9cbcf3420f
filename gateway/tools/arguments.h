#ifndef GATEWAY_TOOLS_ARGUMENTS_H_
#define GATEWAY_TOOLS_ARGUMENTS_H_

// The arguments of a tool call, checked so that what is wrong is said in words an agent can act on.

#include <memory>
#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "gateway/tools/json_schema.h"

namespace contree::gateway {

// Immutable, so thread-safe.
class ArgumentChecker {
 public:
  // InvalidArgument: input_schema is no JSON Schema with an object at its root.
  static absl::StatusOr<std::unique_ptr<ArgumentChecker>> Create(absl::string_view input_schema);

  // The arguments as a handler takes them: a member that is null counts as left out, a number such
  // as 5.0 is an integer where one is wanted, and what is left out has its default.
  // InvalidArgument: they do not fit; the message names the argument, its value and what is wanted.
  absl::StatusOr<nlohmann::json> Check(nlohmann::json arguments) const;

 private:
  ArgumentChecker(nlohmann::json schema, std::unique_ptr<JsonSchema> compiled);

  absl::Status Unknown(const std::string& name) const;
  absl::Status Explain(const nlohmann::json& arguments, const SchemaViolation& violation) const;

  const nlohmann::json schema_;
  const nlohmann::json properties_;
  const std::unique_ptr<JsonSchema> compiled_;
};

}  // namespace contree::gateway

#endif  // GATEWAY_TOOLS_ARGUMENTS_H_
