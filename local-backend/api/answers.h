#ifndef LOCAL_BACKEND_API_ANSWERS_H_
#define LOCAL_BACKEND_API_ANSWERS_H_

// Answers in the API's shapes. Thread-safe.

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/http/http_server.h"
#include "local-backend/images/image_store.h"

namespace contree {

inline constexpr int64_t kMaxLayerBytes = 12'884'901'888;  // 12 GiB
inline constexpr int64_t kMaxTimeoutSeconds = 3600;

// In chunks where it is large: some clients refuse a Content-Length above 64 KiB.
void AnswerJson(HttpExchange& exchange, int status, const nlohmann::json& body);

// The same of JSON text.
void AnswerJsonText(HttpExchange& exchange, int status, std::string text);

// The text of the JSON object, with a member more: what is large need not be parsed to be shown.
std::string WithMember(absl::string_view object, absl::string_view name, absl::string_view value);

// {"error": message, "status": status}
void AnswerError(HttpExchange& exchange, int status, absl::string_view message);

// The same by the error's code; FailedPrecondition becomes `precondition_status`: 409, or 422 about
// files of an image.
void AnswerError(HttpExchange& exchange, const absl::Status& error, int precondition_status = 409);

// An error after which the same request may be sent again soon: nothing was done (425, 429, 503).
void AnswerLater(HttpExchange& exchange, int status, absl::string_view message);

nlohmann::json ToJson(const Image& image);

}  // namespace contree

#endif  // LOCAL_BACKEND_API_ANSWERS_H_
