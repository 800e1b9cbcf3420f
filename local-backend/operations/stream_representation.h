#ifndef LOCAL_BACKEND_OPERATIONS_STREAM_REPRESENTATION_H_
#define LOCAL_BACKEND_OPERATIONS_STREAM_REPRESENTATION_H_

// How the API writes bytes into JSON: {"value", "encoding": "ascii" | "base64", "truncated"}.
// Thread-safe.

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace contree {

// "ascii" where every byte is printable ASCII, tab, line feed or carriage return; else all of it in
// base64.
nlohmann::json ToStreamRepresentation(absl::string_view bytes, bool truncated);

// The bytes. InvalidArgument: not of that form.
absl::StatusOr<std::string> FromStreamRepresentation(const nlohmann::json& representation);

}  // namespace contree

#endif  // LOCAL_BACKEND_OPERATIONS_STREAM_REPRESENTATION_H_
