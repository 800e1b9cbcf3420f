#include "gateway/tools/json_schema.h"

#include <nlohmann/json.hpp>
#include <utility>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace contree::gateway {
namespace {

using Adapter = valijson::adapters::NlohmannJsonAdapter;

// valijson writes "[name]" for a member and "[3]" for an element, behind "<root>".
std::vector<std::string> ReadPath(const std::vector<std::string>& context) {
  std::vector<std::string> path;
  for (const std::string& step : context) {
    if (step.size() >= 2 && step.front() == '[' && step.back() == ']') {
      path.push_back(step.substr(1, step.size() - 2));
    }
  }
  return path;
}

class ValijsonSchema final : public JsonSchema {
 public:
  // Throws what valijson throws.
  explicit ValijsonSchema(const nlohmann::json& schema) {
    valijson::SchemaParser parser(valijson::SchemaParser::kDraft7);
    parser.populateSchema(Adapter(schema), schema_);
  }

  std::vector<SchemaViolation> Check(const nlohmann::json& value) const override {
    std::vector<SchemaViolation> violations;
    try {
      valijson::Validator validator(valijson::Validator::kStrongTypes);
      // What fits is by far the most: only a failure is worth collecting reasons for.
      if (validator.validate(schema_, Adapter(value), nullptr)) return {};
      valijson::ValidationResults results;
      validator.validate(schema_, Adapter(value), &results);
      for (const auto& error : results) {
        violations.push_back({ReadPath(error.context), error.description});
      }
      if (violations.empty()) violations.push_back({{}, "it does not fit the schema"});
    } catch (const std::exception& error) {
      violations.push_back({{}, error.what()});
    }
    return violations;
  }

 private:
  valijson::Schema schema_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<JsonSchema>> JsonSchema::Compile(const nlohmann::json& schema) {
  if (!schema.is_object()) return absl::InvalidArgumentError("a schema is a JSON object");
  try {
    return std::make_unique<ValijsonSchema>(schema);
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat("not a usable schema: ", error.what()));
  }
}

}  // namespace contree::gateway
