#ifndef GATEWAY_TOOLS_OPERATION_JSON_H_
#define GATEWAY_TOOLS_OPERATION_JSON_H_

// Operations as tools return them. Thread-safe.

#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "contree/v1/operation.pb.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"

namespace contree::gateway {

// "SUCCESS"; "UNKNOWN" for a state that this version does not know.
std::string StateName(contree::v1::OperationState state);
// "instance", "image_import", or "unknown".
std::string KindName(contree::v1::OperationKind kind);

// The reverse; UNSPECIFIED for another word.
contree::v1::OperationState StateByName(absl::string_view name);
contree::v1::OperationKind KindByName(absl::string_view name);

// SUCCESS, FAILED and CANCELLED.
bool IsFinal(contree::v1::OperationState state);

// RFC 3339 in UTC.
std::string TimeText(const google::protobuf::Timestamp& time);
double DurationSeconds(const google::protobuf::Duration& duration);

// The whole record. What does not apply, or is not known yet, is left out.
nlohmann::ordered_json OperationJson(const contree::v1::Operation& operation);

// The JSON Schema of OperationJson; `required` is a JSON array of member names.
std::string OperationSchema(absl::string_view required = R"(["operation_id", "kind", "state"])");

}  // namespace contree::gateway

#endif  // GATEWAY_TOOLS_OPERATION_JSON_H_
