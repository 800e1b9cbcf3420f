#include "common/registry/token_exchange.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/http/retry_after.h"
#include "common/registry/reference.h"
#include "common/retry/retry_loop.h"
#include "common/status/status_macros.h"

namespace contree {
namespace {

constexpr size_t kMaxAnswer = 1024 * 1024;
constexpr size_t kMaxToken = 256 * 1024;
constexpr size_t kMaxRemembered = 1024;
constexpr absl::Duration kDefaultLifetime = absl::Seconds(60);
// A server that says more is not believed: a lost clock must not keep a token for years.
constexpr absl::Duration kLongestLifetime = absl::Hours(12);
constexpr absl::Duration kOneAttempt = absl::Seconds(30);
constexpr char kClientId[] = "contree-mcp";
constexpr RetryPolicy kRetryPolicy = {
    .max_attempts = 5, .backoff = {.first = absl::Milliseconds(500), .largest = absl::Seconds(10)}};

// Token servers that are known to belong to a registry with another host.
struct KnownRealm {
  const char* registry;
  const char* origin;
};
constexpr KnownRealm kKnownRealms[] = {
    {kDockerHub, "https://auth.docker.io"},
    {"registry.gitlab.com", "https://gitlab.com"},
};

std::string Form(const std::vector<std::pair<std::string, absl::string_view>>& fields) {
  std::string form;
  for (const auto& [name, value] : fields) {
    std::string encoded = PercentEncode(value);
    absl::StrAppend(&form, form.empty() ? "" : "&", name, "=", encoded);
    Wipe(encoded);
  }
  return form;
}

// Worth trying again: nothing was decided.
bool IsTransient(int status) { return status == 429 || status == 408 || status >= 500; }

// The error of a token server, without what it wrote itself: it may have written down what we sent.
absl::Status ErrorOf(const TokenRequest& request, bool anonymous, int status) {
  const std::string who = absl::StrCat("the token server of ", request.registry);
  if (anonymous && (status == 400 || status == 401 || status == 403)) {
    return absl::PermissionDeniedError(
        absl::StrCat(who, " gives nothing without credentials (HTTP ", status,
                     "). registry_token_obtain says where to make them"));
  }
  switch (status) {
    case 401:
    case 403:
    case 400:
      return absl::PermissionDeniedError(absl::StrCat(
          who, " refuses these credentials (HTTP ", status,
          "). Make a new token (registry_token_obtain says where) and give it to registry_auth"));
    case 429:
      return absl::ResourceExhaustedError(absl::StrCat(who, " asks to slow down; try again later"));
    default:
      if (status >= 300 && status < 400) {
        return absl::PermissionDeniedError(absl::StrCat(who, " redirects to another address (HTTP ",
                                                        status, "), which is never followed"));
      }
      if (status >= 500) return absl::UnavailableError(absl::StrCat(who, " answers HTTP ", status));
      return absl::FailedPreconditionError(
          absl::StrCat(who, " answers HTTP ", status, " where a token was asked for"));
  }
}

absl::StatusOr<RegistryToken> ReadToken(const TokenRequest& request, const std::string& body,
                                        absl::Time now) {
  const auto no_token = [&request](absl::string_view why) {
    return absl::FailedPreconditionError(
        absl::StrCat("the token server of ", request.registry, " gave no usable token: ", why));
  };
  nlohmann::json json = nlohmann::json::parse(body, nullptr, false);
  if (!json.is_object()) return no_token("its answer is not a JSON object");
  RegistryToken token;
  for (const char* name : {"token", "access_token"}) {
    const auto found = json.find(name);
    if (found == json.end() || !found->is_string()) continue;
    std::string& text = found->get_ref<std::string&>();
    if (text.empty() || !token.value.empty()) {
      Wipe(text);
      continue;
    }
    const bool is_header_value =
        text.size() <= kMaxToken && std::all_of(text.begin(), text.end(), absl::ascii_isgraph);
    if (!is_header_value) return no_token("it cannot be sent in a header");
    token.value = SecretString(std::move(text));
  }
  if (token.value.empty()) return no_token("neither token nor access_token is there");
  absl::Duration lifetime = kDefaultLifetime;
  if (const auto expires = json.find("expires_in"); expires != json.end() && expires->is_number()) {
    const double seconds = expires->get<double>();
    if (seconds > 0) lifetime = std::min(absl::Seconds(seconds), kLongestLifetime);
  }
  token.issued_at = now;
  token.expires_at = now + lifetime;
  return token;
}

}  // namespace

absl::Status CheckRealm(const std::string& registry, const std::string& realm,
                        const RegistryCredentials& credentials) {
  absl::StatusOr<HttpUrl> url = ParseHttpUrl(realm);
  if (!url.ok()) {
    return absl::PermissionDeniedError(absl::StrCat(
        "the registry ", registry, " names a token server that is ", url.status().message()));
  }
  if (credentials.IsAnonymous()) return absl::OkStatus();
  if (!credentials.realm.empty()) {
    if (realm == credentials.realm) return absl::OkStatus();
    return absl::PermissionDeniedError(absl::StrCat(
        "the registry ", registry, " now names the token server ", url->Origin(), url->target,
        ", but its credentials were stored for ", credentials.realm,
        " and go nowhere else. If the registry really moved, store them again with registry_auth"));
  }
  if (url->host == SplitRegistry(registry).host) return absl::OkStatus();
  for (const KnownRealm& known : kKnownRealms) {
    if (registry == known.registry && url->Origin() == known.origin) return absl::OkStatus();
  }
  return absl::PermissionDeniedError(absl::StrCat(
      "the registry ", registry, " names the token server ", url->Origin(),
      ", another host that was not confirmed for these credentials; they were not sent. If it is "
      "right, store them with registry_auth"));
}

absl::StatusOr<RegistryToken> TokenExchange::Fetch(const TokenRequest& request,
                                                   const RegistryCredentials& credentials,
                                                   const CallContext& context) {
  RETURN_IF_ERROR(CheckRealm(request.registry, request.realm, credentials));
  bool with_post = !credentials.IsAnonymous();
  {
    absl::MutexLock lock(&mutex_);
    if (without_post_.contains(request.realm) && !credentials.IsIdentityToken()) with_post = false;
  }
  if (with_post) {
    Answer answer = Post(request, credentials, context);
    // Servers that do not know POST answer 404 (GCR), 405, 401 (Artifactory) or 400 (ACR).
    const bool try_get =
        !credentials.IsIdentityToken() && (answer.status == 400 || answer.status == 401 ||
                                           answer.status == 404 || answer.status == 405);
    if (!try_get) return std::move(answer.token);
    Answer other = Get(request, credentials, context);
    if (other.token.ok()) {
      absl::MutexLock lock(&mutex_);
      if (without_post_.size() >= kMaxRemembered) without_post_.clear();
      without_post_.insert(request.realm);
    }
    return std::move(other.token);
  }
  return std::move(Get(request, credentials, context).token);
}

TokenExchange::Answer TokenExchange::Post(const TokenRequest& request,
                                          const RegistryCredentials& credentials,
                                          const CallContext& context) {
  const std::string scope = absl::StrJoin(request.scopes, " ");
  HttpRequest http = {.method = "POST", .content_type = "application/x-www-form-urlencoded"};
  if (credentials.IsIdentityToken()) {
    http.body = Form({{"grant_type", "refresh_token"},
                      {"service", request.service},
                      {"client_id", kClientId},
                      {"scope", scope},
                      {"refresh_token", credentials.secret.view()}});
  } else {
    http.body = Form({{"grant_type", "password"},
                      {"service", request.service},
                      {"client_id", kClientId},
                      {"scope", scope},
                      {"username", credentials.username},
                      {"password", credentials.secret.view()}});
  }
  return Send(request, request.realm, std::move(http), context);
}

TokenExchange::Answer TokenExchange::Get(const TokenRequest& request,
                                         const RegistryCredentials& credentials,
                                         const CallContext& context) {
  std::vector<std::pair<std::string, absl::string_view>> query;
  if (!request.service.empty()) query.emplace_back("service", request.service);
  for (const std::string& scope : request.scopes) query.emplace_back("scope", scope);
  query.emplace_back("client_id", kClientId);
  if (!credentials.IsAnonymous()) query.emplace_back("account", credentials.username);
  HttpRequest http;
  if (!credentials.IsAnonymous()) {
    std::string plain = absl::StrCat(credentials.username, ":", credentials.secret.view());
    http.headers.emplace_back("Authorization", absl::StrCat("Basic ", absl::Base64Escape(plain)));
    Wipe(plain);
  }
  return Send(
      request,
      absl::StrCat(request.realm, absl::StrContains(request.realm, '?') ? "&" : "?", Form(query)),
      std::move(http), context);
}

TokenExchange::Answer TokenExchange::Send(const TokenRequest& request, const std::string& url,
                                          HttpRequest http, const CallContext& context) {
  const bool anonymous = http.headers.empty() && http.body.empty();
  http.headers.emplace_back("Accept", "application/json");
  Answer answer = {.token = absl::UnknownError("not asked")};
  const absl::Status ended = RunWithRetries(kRetryPolicy, *clock_, context, [&]() -> Attempt {
    CallContext attempt = context;
    attempt.deadline = std::min(context.deadline, absl::Now() + kOneAttempt);
    HttpResponse response;
    const absl::Status sent = transport_->Exchange(
        request.registry, url, http, attempt,
        {.on_head =
             [&response](const HttpResponse& head) {
               response = head;
               return absl::OkStatus();
             },
         .on_data = [&response, &request](absl::string_view bytes) -> absl::Status {
           if (response.body.size() + bytes.size() > kMaxAnswer) {
             return absl::ResourceExhaustedError(
                 absl::StrCat("the token server of ", request.registry, " sends more than ",
                              kMaxAnswer, " bytes; its answer was thrown away"));
           }
           response.body.append(bytes.data(), bytes.size());
           return absl::OkStatus();
         }});
    answer.status = sent.ok() ? response.status : 0;
    if (!sent.ok()) return {.status = sent, .may_retry = NothingWasSent(sent)};
    if (response.status != 200) {
      Attempt failed = {.status = ErrorOf(request, anonymous, response.status),
                        .may_retry = IsTransient(response.status)};
      if (const auto after = response.Header("Retry-After"); after.has_value()) {
        failed.retry_after = ParseRetryAfter(*after, clock_->Now());
      }
      return failed;
    }
    answer.token = ReadToken(request, response.body, clock_->Now());
    Wipe(response.body);
    return {.status = answer.token.status()};
  });
  Wipe(http.body);
  for (auto& [name, value] : http.headers) Wipe(value);
  if (!ended.ok()) answer.token = ended;
  return answer;
}

}  // namespace contree
