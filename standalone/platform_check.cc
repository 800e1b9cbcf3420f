#include "standalone/platform_check.h"

#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "common/http/httplib_http_client.h"
#include "common/rpc/call_context.h"
#include "common/server/listen_address.h"
#include "common/status/status_context.h"
#include "common/status/status_macros.h"
#include "common/time/clock.h"
#include "contree-service/api/contree_api.h"

namespace contree::standalone {
namespace {

// Notes the header Date of the last answer.
class DateNotingHttpClient final : public HttpClient {
 public:
  explicit DateNotingHttpClient(std::unique_ptr<HttpClient> client) : client_(std::move(client)) {}

  absl::Status Exchange(const HttpRequest& request, const CallContext& context,
                        const HttpResponseSink& sink) override {
    HttpResponseSink noting = sink;
    noting.on_head = [this, &sink](const HttpResponse& head) {
      date_ = head.Header("Date");
      return sink.on_head == nullptr ? absl::OkStatus() : sink.on_head(head);
    };
    return client_->Exchange(request, context, noting);
  }

  std::optional<absl::Time> date() const {
    absl::Time time;
    std::string error;
    if (!date_.has_value() ||
        !absl::ParseTime("%a, %d %b %Y %H:%M:%S GMT", *date_, &time, &error)) {
      return std::nullopt;
    }
    return time;
  }

 private:
  const std::unique_ptr<HttpClient> client_;
  std::optional<std::string> date_;
};

// The host of "http://host:port/path".
std::string HostOf(absl::string_view url) {
  absl::ConsumePrefix(&url, "http://");
  url = url.substr(0, url.find('/'));
  if (absl::StartsWith(url, "[")) return std::string(url.substr(1, url.find(']') - 1));
  return std::string(url.substr(0, url.find(':')));
}

}  // namespace

absl::StatusOr<PlatformAnswer> AskPlatform(const ApiEndpoint& endpoint, absl::Duration timeout) {
  if (absl::StartsWith(endpoint.base_url, "http://") && !IsLoopback(HostOf(endpoint.base_url))) {
    return absl::PermissionDeniedError(
        absl::StrCat("the token is not sent to ", endpoint.base_url,
                     ", where everybody on the way could read it: use https://"));
  }
  ASSIGN_OR_RETURN(std::unique_ptr<HttplibHttpClient> http,
                   HttplibHttpClient::Create({.base_url = endpoint.base_url}));
  const auto client = std::make_shared<DateNotingHttpClient>(std::move(http));
  RealClock clock;
  RetryPolicy retry;
  retry.max_attempts = 3;
  const ContreeApi api(client, endpoint, &clock, retry);
  PlatformAnswer answer;
  answer.asked_at = absl::Now();
  const absl::StatusOr<v1::GetIdentityResponse> identity = api.WhoAmI(NewCallContext(timeout));
  if (!identity.ok()) return Annotate(identity.status(), endpoint.base_url);
  answer.took = absl::Now() - answer.asked_at;
  answer.permissions = {identity->permissions().begin(), identity->permissions().end()};
  answer.operations = {identity->operations().begin(), identity->operations().end()};
  answer.platform_time = client->date();
  return answer;
}

}  // namespace contree::standalone
