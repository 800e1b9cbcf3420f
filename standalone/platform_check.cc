#include "standalone/platform_check.h"

#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "common/http/httplib_http_client.h"
#include "common/rpc/call_context.h"
#include "common/rpc/grpc_context.h"
#include "common/server/listen_address.h"
#include "common/status/grpc_status.h"
#include "common/status/status_context.h"
#include "common/status/status_macros.h"
#include "common/time/clock.h"
#include "contree-service/api/contree_api.h"
#include "contree/v1/contree_service.grpc.pb.h"

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

PlatformAnswer AnswerOf(const v1::GetIdentityResponse& identity, absl::Time asked_at) {
  return {.permissions = {identity.permissions().begin(), identity.permissions().end()},
          .operations = {identity.operations().begin(), identity.operations().end()},
          .platform_time = std::nullopt,
          .asked_at = asked_at,
          .took = absl::Now() - asked_at};
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
  const absl::Time asked_at = absl::Now();
  const absl::StatusOr<v1::GetIdentityResponse> identity = api.WhoAmI(NewCallContext(timeout));
  if (!identity.ok()) return Annotate(identity.status(), endpoint.base_url);
  PlatformAnswer answer = AnswerOf(*identity, asked_at);
  answer.platform_time = client->date();
  return answer;
}

absl::StatusOr<PlatformAnswer> AskRemote(const RemoteOptions& options, absl::Duration timeout) {
  ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel, ConnectToRemote(options));
  const auto stub = v1::ContreeService::NewStub(channel);
  OutgoingCall call(NewCallContext(timeout));
  v1::GetIdentityResponse identity;
  const absl::Time asked_at = absl::Now();
  const grpc::Status status =
      stub->GetIdentity(call.client_context(), v1::GetIdentityRequest(), &identity);
  if (!status.ok()) return Annotate(FromGrpcStatus(status), options.url);
  return AnswerOf(identity, asked_at);
}

}  // namespace contree::standalone
