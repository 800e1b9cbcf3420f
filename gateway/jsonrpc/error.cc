#include "gateway/jsonrpc/error.h"

#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/text/json_text.h"

namespace contree::gateway {
namespace {

constexpr char kCodePayload[] = "contree.gateway/jsonrpc-code";
constexpr char kDataPayload[] = "contree.gateway/jsonrpc-data";

absl::Status WithData(absl::Status status, absl::string_view data_json) {
  status.SetPayload(kDataPayload, absl::Cord(data_json));
  return status;
}

}  // namespace

absl::Status ParseError(absl::string_view reason) {
  return WithJsonRpcCode(absl::InvalidArgumentError(absl::StrCat("Parse error: ", reason)),
                         kParseErrorCode);
}

absl::Status InvalidRequest(absl::string_view reason) {
  return WithJsonRpcCode(absl::InvalidArgumentError(absl::StrCat("Invalid request: ", reason)),
                         kInvalidRequestCode);
}

absl::Status MethodNotFound(absl::string_view method) {
  return WithJsonRpcCode(absl::UnimplementedError(absl::StrCat("Method not found: ", method)),
                         kMethodNotFoundCode);
}

absl::Status InvalidParams(absl::string_view reason) {
  return WithJsonRpcCode(absl::InvalidArgumentError(absl::StrCat("Invalid params: ", reason)),
                         kInvalidParamsCode);
}

absl::Status ResourceNotFound(absl::string_view uri, absl::string_view reason) {
  constexpr size_t kMaxShownBytes = 1000;
  const absl::string_view shown = uri.substr(0, kMaxShownBytes);
  return WithData(WithJsonRpcCode(absl::NotFoundError(
                                      absl::StrCat("Resource not found: ", shown, ": ", reason)),
                                  kResourceNotFoundCode),
                  absl::StrCat(R"({"uri":)", ToJsonString(shown), "}"));
}

absl::Status HeaderMismatch(absl::string_view reason) {
  return WithJsonRpcCode(absl::InvalidArgumentError(absl::StrCat("Header mismatch: ", reason)),
                         kHeaderMismatchCode);
}

absl::Status MissingCapability(absl::string_view required_json, absl::string_view reason) {
  return WithData(WithJsonRpcCode(absl::FailedPreconditionError(reason), kMissingCapabilityCode),
                  absl::StrCat(R"({"requiredCapabilities":)", required_json, "}"));
}

absl::Status UnsupportedVersion(absl::string_view data_json, absl::string_view reason) {
  return WithData(WithJsonRpcCode(absl::InvalidArgumentError(reason), kUnsupportedVersionCode),
                  data_json);
}

absl::Status WithJsonRpcCode(absl::Status status, int code) {
  status.SetPayload(kCodePayload, absl::Cord(absl::StrCat(code)));
  return status;
}

std::string JsonRpcErrorData(const absl::Status& status) {
  const auto payload = status.GetPayload(kDataPayload);
  return payload.has_value() ? std::string(*payload) : "";
}

int JsonRpcCode(const absl::Status& status) {
  const auto payload = status.GetPayload(kCodePayload);
  int code = 0;
  if (payload.has_value() && absl::SimpleAtoi(std::string(*payload), &code)) return code;
  return kInternalErrorCode;
}

}  // namespace contree::gateway
