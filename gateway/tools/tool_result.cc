#include "gateway/tools/tool_result.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/text/json_text.h"

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

using nlohmann::ordered_json;

void AppendText(std::string& out, absl::string_view text) {
  absl::StrAppend(&out, R"({"type":"text","text":)", ToJsonString(text), "}");
}

}  // namespace

std::string ToolResultJson(const ToolOutput& output) {
  std::string result = R"({"content":[)";
  std::string structured;
  if (!output.structured.is_null()) {
    structured = ToJsonText(output.structured);
    AppendText(result, structured);
  }
  for (const ordered_json& block : output.content) {
    absl::StrAppend(&result, result.back() == '[' ? "" : ",", ToJsonText(block));
  }
  absl::StrAppend(&result, "]", structured.empty() ? "" : R"(,"structuredContent":)", structured,
                  output.is_error ? R"(,"isError":true})" : R"(,"isError":false})");
  return result;
}

std::string ToolErrorJson(const absl::Status& status) {
  std::string result = R"({"content":[)";
  AppendText(result, Explain(status));
  absl::StrAppend(&result, R"(],"isError":true})");
  return result;
}

}  // namespace contree::gateway
