#include "gateway/jsonrpc/error.h"

#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace contree::gateway {
namespace {

constexpr char kCodePayload[] = "contree.gateway/jsonrpc-code";

absl::Status WithCode(absl::Status status, int code) {
  status.SetPayload(kCodePayload, absl::Cord(absl::StrCat(code)));
  return status;
}

}  // namespace

absl::Status ParseError(absl::string_view reason) {
  return WithCode(absl::InvalidArgumentError(absl::StrCat("Parse error: ", reason)),
                  kParseErrorCode);
}

absl::Status InvalidRequest(absl::string_view reason) {
  return WithCode(absl::InvalidArgumentError(absl::StrCat("Invalid request: ", reason)),
                  kInvalidRequestCode);
}

absl::Status MethodNotFound(absl::string_view method) {
  return WithCode(absl::UnimplementedError(absl::StrCat("Method not found: ", method)),
                  kMethodNotFoundCode);
}

absl::Status InvalidParams(absl::string_view reason) {
  return WithCode(absl::InvalidArgumentError(absl::StrCat("Invalid params: ", reason)),
                  kInvalidParamsCode);
}

int JsonRpcCode(const absl::Status& status) {
  const auto payload = status.GetPayload(kCodePayload);
  int code = 0;
  if (payload.has_value() && absl::SimpleAtoi(std::string(*payload), &code)) return code;
  return kInternalErrorCode;
}

}  // namespace contree::gateway
