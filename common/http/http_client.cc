#include "common/http/http_client.h"

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace contree {
namespace {
constexpr char kNothingWasSentPayload[] = "contree/nothing-was-sent";
}  // namespace

std::optional<std::string> HttpResponse::Header(absl::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (absl::EqualsIgnoreCase(key, name)) return value;
  }
  return std::nullopt;
}

absl::StatusOr<HttpResponse> SendHttp(HttpClient& client, const HttpRequest& request,
                                      const CallContext& context, size_t max_body_bytes) {
  HttpResponse response;
  std::string body;
  const absl::Status status = client.Exchange(
      request, context,
      HttpResponseSink{.on_head =
                           [&](const HttpResponse& head) {
                             response = head;
                             return absl::OkStatus();
                           },
                       .on_data =
                           [&](absl::string_view bytes) {
                             if (body.size() + bytes.size() > max_body_bytes) {
                               return absl::ResourceExhaustedError(
                                   absl::StrCat("the answer to ", request.method, " ",
                                                request.target.substr(0, request.target.find('?')),
                                                " is larger than ", max_body_bytes, " bytes"));
                             }
                             body.append(bytes.data(), bytes.size());
                             return absl::OkStatus();
                           }});
  if (!status.ok()) return status;
  response.body = std::move(body);
  return response;
}

absl::Status WithNothingWasSent(absl::Status status) {
  status.SetPayload(kNothingWasSentPayload, absl::Cord("1"));
  return status;
}

bool NothingWasSent(const absl::Status& status) {
  return absl::IsUnavailable(status) && status.GetPayload(kNothingWasSentPayload).has_value();
}

std::string PercentEncode(absl::string_view text) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size());
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    if (plain) {
      encoded.push_back(c);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      encoded.push_back('%');
      encoded.push_back(kDigits[byte >> 4]);
      encoded.push_back(kDigits[byte & 0x0f]);
    }
  }
  return encoded;
}

}  // namespace contree
