#ifndef CONTREE_SERVICE_API_OPERATION_JSON_H_
#define CONTREE_SERVICE_API_OPERATION_JSON_H_

// The API's operations and their events as our messages. Unknown fields, states and event types are
// tolerated.

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "contree-service/api/sse_parser.h"
#include "contree/v1/contree_service.pb.h"
#include "contree/v1/operation.pb.h"

namespace contree {

bool IsFinal(v1::OperationState state);

// From an OperationSummary or an OperationResponse. `instance` is set for a final operation whose
// command's result is there; request's env, files and stdin are dropped.
v1::Operation OperationFromJson(const nlohmann::json& json);

// From an InstanceResult of the API.
v1::InstanceResult InstanceResultFromJson(const nlohmann::json& json);

// One frame of an event stream.
struct StreamedEvent {
  int64_t id = -1;          // -1: the frame has none
  bool completion = false;  // the operation is over; fetch its final record
  bool failure = false;     // the stream broke on the server's side; connect again
  // What a watcher gets to see; without a value for types that are not passed on.
  std::optional<v1::OperationEvent> event;
};

// nullopt: a frame that says nothing (its data is no JSON object).
std::optional<StreamedEvent> EventFromFrame(const SseFrame& frame);

// The body of POST /instances, with the API's own names and every default filled in. `image` is a
// UUID or "tag:NAME".
std::string InstanceBody(const v1::RunInstanceRequest& request, absl::string_view image);

// A StreamRepr as the API takes it: plain text as it is, other bytes in base64.
nlohmann::json StreamJson(absl::string_view bytes);

// The body of POST /images/import.
std::string ImportBody(const v1::ImportImageRequest& request, bool with_realm);

// The API's words; "" for UNSPECIFIED.
absl::string_view StateName(v1::OperationState state);
absl::string_view KindName(v1::OperationKind kind);

}  // namespace contree

#endif  // CONTREE_SERVICE_API_OPERATION_JSON_H_
