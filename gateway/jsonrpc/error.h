#ifndef GATEWAY_JSONRPC_ERROR_H_
#define GATEWAY_JSONRPC_ERROR_H_

// JSON-RPC 2.0's errors as absl::Status: the code of the protocol travels as a payload, so that one
// type serves all the way from a handler to the wire. Thread-safe.

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace contree::gateway {

inline constexpr int kParseErrorCode = -32700;
inline constexpr int kInvalidRequestCode = -32600;
inline constexpr int kMethodNotFoundCode = -32601;
inline constexpr int kInvalidParamsCode = -32602;
inline constexpr int kInternalErrorCode = -32603;
// MCP's own.
inline constexpr int kResourceNotFoundCode = -32002;  // before 2026-07-28; since then -32602
inline constexpr int kHeaderMismatchCode = -32020;
inline constexpr int kMissingCapabilityCode = -32021;
inline constexpr int kUnsupportedVersionCode = -32022;

// The text is no JSON, or nested deeper than is allowed.
absl::Status ParseError(absl::string_view reason);
// JSON, but no JSON-RPC message; or one that cannot be taken now.
absl::Status InvalidRequest(absl::string_view reason);
absl::Status MethodNotFound(absl::string_view method);
// The method exists, its parameters do not fit.
absl::Status InvalidParams(absl::string_view reason);

// No resource has this URI. The data of the error names it.
absl::Status ResourceNotFound(absl::string_view uri, absl::string_view reason);
// The headers of an HTTP request and its body say different things.
absl::Status HeaderMismatch(absl::string_view reason);
// `required_json` is the capability that the client lacks: {"sampling":{}}.
absl::Status MissingCapability(absl::string_view required_json, absl::string_view reason);
// `data_json` is {"supported":[…],"requested":…}.
absl::Status UnsupportedVersion(absl::string_view data_json, absl::string_view reason);

// The same error with another code.
absl::Status WithJsonRpcCode(absl::Status status, int code);
// The member "data" of an error as JSON; empty: none.
std::string JsonRpcErrorData(const absl::Status& status);

// The JSON-RPC code of an error: what the functions above made keeps its own, anything else is an
// internal error.
int JsonRpcCode(const absl::Status& status);

}  // namespace contree::gateway

#endif  // GATEWAY_JSONRPC_ERROR_H_
