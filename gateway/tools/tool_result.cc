#include "gateway/tools/tool_result.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gateway/jsonrpc/message.h"

namespace contree::gateway {
namespace {

std::string Explain(const absl::Status& status) {
  const absl::string_view message = status.message();
  switch (status.code()) {
    // The service's own words say what to mend.
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kAlreadyExists:
      return std::string(message);
    case absl::StatusCode::kUnavailable:
      return absl::StrCat("The platform cannot be reached: ", message,
                          ". Operations that run go on; try again in a moment.");
    case absl::StatusCode::kDeadlineExceeded:
      return absl::StrCat("It took too long: ", message,
                          ". Operations that were started go on; list_operations shows them.");
    case absl::StatusCode::kResourceExhausted:
      return absl::StrCat("A limit was reached: ", message,
                          ". Wait until something that runs has ended, or ask for less.");
    case absl::StatusCode::kUnauthenticated:
      return absl::StrCat("The platform does not accept the credentials: ", message,
                          ". The person who runs this server has to renew them.");
    case absl::StatusCode::kPermissionDenied:
      return absl::StrCat("These credentials do not allow this: ", message);
    case absl::StatusCode::kCancelled:
      return absl::StrCat("The call was ended before it was done: ", message);
    default:
      return absl::StrCat("The service failed (", absl::StatusCodeToString(status.code()),
                          "): ", message);
  }
}

std::string ResultJson(absl::string_view text, absl::string_view structured_json, bool is_error) {
  return absl::StrCat(R"({"content":[{"type":"text","text":)", ToJsonString(text), "}]",
                      structured_json.empty() ? "" : R"(,"structuredContent":)", structured_json,
                      is_error ? R"(,"isError":true})" : R"(,"isError":false})");
}

}  // namespace

std::string ToolResultJson(const ToolOutput& output) {
  const std::string json = output.structured.dump(-1, ' ', /*ensure_ascii=*/false,
                                                  nlohmann::ordered_json::error_handler_t::replace);
  return ResultJson(json, json, output.is_error);
}

std::string ToolErrorJson(const absl::Status& status) {
  return ResultJson(Explain(status), "", /*is_error=*/true);
}

}  // namespace contree::gateway
