#ifndef GATEWAY_JSONRPC_ERROR_H_
#define GATEWAY_JSONRPC_ERROR_H_

// JSON-RPC 2.0's errors as absl::Status: the code of the protocol travels as a payload, so that one
// type serves all the way from a handler to the wire. Thread-safe.

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace contree::gateway {

inline constexpr int kParseErrorCode = -32700;
inline constexpr int kInvalidRequestCode = -32600;
inline constexpr int kMethodNotFoundCode = -32601;
inline constexpr int kInvalidParamsCode = -32602;
inline constexpr int kInternalErrorCode = -32603;

// The text is no JSON, or nested deeper than is allowed.
absl::Status ParseError(absl::string_view reason);
// JSON, but no JSON-RPC message; or one that cannot be taken now.
absl::Status InvalidRequest(absl::string_view reason);
absl::Status MethodNotFound(absl::string_view method);
// The method exists, its parameters do not fit.
absl::Status InvalidParams(absl::string_view reason);

// The JSON-RPC code of an error: what the functions above made keeps its own, anything else is an
// internal error.
int JsonRpcCode(const absl::Status& status);

}  // namespace contree::gateway

#endif  // GATEWAY_JSONRPC_ERROR_H_
