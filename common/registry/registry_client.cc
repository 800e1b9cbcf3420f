#include "common/registry/registry_client.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/http/retry_after.h"
#include "common/registry/challenge.h"
#include "common/retry/retry_loop.h"
#include "common/status/status_macros.h"

namespace contree {
namespace {

constexpr int kMaxRedirects = 5;
constexpr int kMaxChallenges = 3;
constexpr size_t kMaxErrorBody = 64 * 1024;
constexpr size_t kMaxScopes = 32;
constexpr size_t kMaxDemands = 1024;
constexpr size_t kMaxQuoted = 200;  // of what a registry says
constexpr RetryPolicy kRetryPolicy = {
    .max_attempts = 5, .backoff = {.first = absl::Milliseconds(500), .largest = absl::Seconds(10)}};
// A registry that sends nothing for so long is not waited for.
constexpr absl::Duration kMaxSilence = absl::Seconds(60);

// What one request came to, unless its answer went to the sink.
struct Refusal {
  int status = 0;
  std::vector<std::string> challenges;
  std::string location;
  std::string retry_after;
  std::string body;
};

std::string Printable(absl::string_view text) {
  std::string printable;
  for (const char c : text.substr(0, kMaxQuoted)) {
    printable.push_back(absl::ascii_isprint(c) ? c : '?');
  }
  return printable;
}

// "MANIFEST_UNKNOWN", "TOOMANYREQUESTS": one of those that the distribution spec and registries
// have.
bool IsErrorCode(absl::string_view code) {
  static constexpr absl::string_view kCodes[] = {"BLOB_UNKNOWN",
                                                 "BLOB_UPLOAD_INVALID",
                                                 "BLOB_UPLOAD_UNKNOWN",
                                                 "DENIED",
                                                 "DIGEST_INVALID",
                                                 "MANIFEST_BLOB_UNKNOWN",
                                                 "MANIFEST_INVALID",
                                                 "MANIFEST_UNKNOWN",
                                                 "NAME_INVALID",
                                                 "NAME_UNKNOWN",
                                                 "SIZE_INVALID",
                                                 "TOOMANYREQUESTS",
                                                 "UNAUTHORIZED",
                                                 "UNSUPPORTED",
                                                 "UNKNOWN",
                                                 "UNAVAILABLE",
                                                 "NOT_FOUND",
                                                 "FORBIDDEN",
                                                 "PAGINATION_NUMBER_INVALID",
                                                 "RANGE_INVALID"};
  return std::find(std::begin(kCodes), std::end(kCodes), code) != std::end(kCodes);
}

// The code and message of the distribution spec's error body. Somebody who was sent a secret may
// have written it into either: then only a code that looks like one is shown.
std::string ErrorText(const std::string& body, bool anonymous) {
  const nlohmann::json json = nlohmann::json::parse(body, nullptr, false);
  if (!json.is_object() || !json.contains("errors") || !json["errors"].is_array() ||
      json["errors"].empty() || !json["errors"][0].is_object()) {
    return "";
  }
  const nlohmann::json& error = json["errors"][0];
  const auto member = [&error](const char* name) {
    return error.contains(name) && error[name].is_string() ? error[name].get<std::string>() : "";
  };
  std::string text = member("code");
  if (anonymous) {
    const std::string message = member("message");
    absl::StrAppend(&text, text.empty() || message.empty() ? "" : ": ", message);
  } else if (!IsErrorCode(text)) {
    return "";
  }
  return text.empty() ? "" : absl::StrCat(" (", Printable(text), ")");
}

absl::Status ErrorOf(const std::string& registry, const std::string& what, bool anonymous,
                     const Refusal& refusal) {
  const std::string said =
      absl::StrCat("HTTP ", refusal.status, ErrorText(refusal.body, anonymous), " from ", registry);
  switch (refusal.status) {
    case 401:
      if (anonymous) {
        return absl::UnauthenticatedError(absl::StrCat(
            what, ": ", said,
            ". It wants credentials (or there is no such repository): registry_token_obtain says "
            "where to make them, registry_auth takes them"));
      }
      [[fallthrough]];
    case 403:
      return absl::PermissionDeniedError(
          absl::StrCat(what, ": ", said, ". The credentials may not read this, or are not valid"));
    case 404:
      return absl::NotFoundError(
          absl::StrCat(what, ": ", said,
                       ". Check the name and the tag; a private repository looks "
                       "the same without the right credentials"));
    case 429:
      return absl::ResourceExhaustedError(absl::StrCat(
          what, ": ", said, ". It limits how often it is asked; wait, or use credentials"));
    default:
      if (refusal.status >= 500) return absl::UnavailableError(absl::StrCat(what, ": ", said));
      return absl::FailedPreconditionError(absl::StrCat(what, ": unexpected ", said));
  }
}

// `location` as it is meant from `base`.
std::string Resolve(const HttpUrl& base, const std::string& location) {
  if (absl::StartsWith(location, "//")) return absl::StrCat(base.scheme, ":", location);
  if (absl::StartsWith(location, "/")) return absl::StrCat(base.Origin(), location);
  if (absl::StrContains(location.substr(0, location.find_first_of("/?")), ':')) return location;
  const std::string path = base.target.substr(0, base.target.find('?'));
  return absl::StrCat(base.Origin(), path.substr(0, path.rfind('/') + 1), location);
}

void AddScopes(std::vector<std::string>& scopes, const std::vector<std::string>& more) {
  scopes.insert(scopes.end(), more.begin(), more.end());
  std::sort(scopes.begin(), scopes.end());
  scopes.erase(std::unique(scopes.begin(), scopes.end()), scopes.end());
  if (scopes.size() > kMaxScopes) scopes.resize(kMaxScopes);
}

// One exchange; a success goes to the sink, anything else comes back. nullopt: it succeeded.
absl::StatusOr<std::optional<Refusal>> SendOnce(RegistryTransport& transport,
                                                const std::string& registry, const std::string& url,
                                                const HttpRequest& request,
                                                const CallContext& context,
                                                const HttpResponseSink& sink) {
  Refusal refusal;
  bool success = false;
  bool cut = false;
  const absl::Status status = transport.Exchange(
      registry, url, request, context,
      {.on_head = [&](const HttpResponse& head) -> absl::Status {
         success = head.status == 200 || head.status == 206;
         if (success) return sink.on_head == nullptr ? absl::OkStatus() : sink.on_head(head);
         refusal.status = head.status;
         for (const auto& [name, value] : head.headers) {
           if (absl::EqualsIgnoreCase(name, "WWW-Authenticate")) {
             refusal.challenges.push_back(value);
           }
         }
         refusal.location = head.Header("Location").value_or("");
         refusal.retry_after = head.Header("Retry-After").value_or("");
         return absl::OkStatus();
       },
       .on_data = [&](absl::string_view bytes) -> absl::Status {
         if (success) return sink.on_data == nullptr ? absl::OkStatus() : sink.on_data(bytes);
         if (refusal.body.size() + bytes.size() > kMaxErrorBody) {
           cut = true;
           return absl::AbortedError("no error needs so much text");
         }
         refusal.body.append(bytes.data(), bytes.size());
         return absl::OkStatus();
       }});
  if (!status.ok() && !cut) return status;
  if (success) return std::optional<Refusal>();
  return std::optional<Refusal>(std::move(refusal));
}

}  // namespace

absl::Status RegistryClient::Get(const ImageReference& reference, const std::string& path,
                                 const HttpHeaders& headers, const RegistryAccess& access,
                                 const CallContext& context, const HttpResponseSink& sink) {
  return Exchange({.registry = reference.registry,
                   .target = absl::StrCat("/v2/", reference.repository, "/", path),
                   .scopes = {absl::StrCat("repository:", reference.repository, ":pull")}},
                  headers, access, context, sink);
}

absl::Status RegistryClient::Exchange(const Target& target, const HttpHeaders& headers,
                                      const RegistryAccess& access, const CallContext& context,
                                      const HttpResponseSink& sink) {
  const std::string what = absl::StrCat("reading ", target.registry, target.target);
  const bool anonymous = access.credentials.IsAnonymous();
  ASSIGN_OR_RETURN(const std::string base, transport_->BaseUrl(target.registry, context));
  Demand demand = LastDemand(target.registry);
  demand.scopes = target.scopes;
  for (int round = 0;; ++round) {
    ASSIGN_OR_RETURN(const SecretString authorization,
                     Authorization(target, demand, access, context));
    HttpRequest request = {.headers = headers, .max_silence = kMaxSilence};
    request.headers.emplace_back("Accept-Encoding", "identity");
    if (!authorization.empty()) {
      request.headers.emplace_back("Authorization", std::string(authorization.view()));
    }
    std::optional<Refusal> refusal;
    const absl::Status sent = RunWithRetries(kRetryPolicy, *clock_, context, [&]() -> Attempt {
      absl::StatusOr<std::optional<Refusal>> result = SendOnce(
          *transport_, target.registry, absl::StrCat(base, target.target), request, context, sink);
      if (!result.ok()) {
        return {.status = result.status(), .may_retry = NothingWasSent(result.status())};
      }
      refusal = *std::move(result);
      if (!refusal.has_value()) return {.status = absl::OkStatus()};
      if (refusal->status != 429 && refusal->status < 500) return {.status = absl::OkStatus()};
      return {.status = ErrorOf(target.registry, what, anonymous, *refusal),
              .may_retry = true,
              .retry_after = ParseRetryAfter(refusal->retry_after, clock_->Now())};
    });
    if (!authorization.empty()) Wipe(request.headers.back().second);
    RETURN_IF_ERROR(sent);
    if (!refusal.has_value()) {
      if (demand.scheme == Scheme::kUnknown) Remember(target.registry, {.scheme = Scheme::kNone});
      return absl::OkStatus();
    }
    if (refusal->status >= 300 && refusal->status < 400) {
      ASSIGN_OR_RETURN(const HttpUrl from, ParseHttpUrl(absl::StrCat(base, target.target)));
      return FollowRedirects(target, Resolve(from, refusal->location), headers, context, sink);
    }
    if (refusal->status != 401 || round + 1 == kMaxChallenges) {
      return ErrorOf(target.registry, what, anonymous, *refusal);
    }

    Demand next = DemandOf(refusal->challenges);
    if (next.scheme == Scheme::kUnknown) {
      return absl::FailedPreconditionError(
          absl::StrCat(what, ": ", target.registry,
                       " wants an authentication that is neither Basic nor Bearer"));
    }
    AddScopes(next.scopes, demand.scopes);
    const bool same = next.scheme == demand.scheme && next.realm == demand.realm &&
                      next.service == demand.service && next.scopes == demand.scopes;
    // A token may have ended early; a refused Basic login stays refused.
    if (!authorization.empty() && same && (next.scheme == Scheme::kBasic || round > 0)) {
      return ErrorOf(target.registry, what, anonymous, *refusal);
    }
    if (!authorization.empty() && demand.scheme == Scheme::kBearer && !next.is_insufficient_scope) {
      cache_->DropAll(context.tenant, target.registry);
    }
    Remember(target.registry, next);
    demand = std::move(next);
  }
}

RegistryClient::Demand RegistryClient::DemandOf(const std::vector<std::string>& challenges) {
  Demand next;
  for (const std::string& header : challenges) {
    for (const Challenge& challenge : ParseChallenges(header)) {
      const auto parameter = [&challenge](const char* name) {
        const auto found = challenge.parameters.find(name);
        return found == challenge.parameters.end() ? std::string() : found->second;
      };
      if (challenge.scheme == "bearer" && !parameter("realm").empty()) {
        next = {.scheme = Scheme::kBearer,
                .realm = parameter("realm"),
                .service = parameter("service"),
                .scopes = absl::StrSplit(parameter("scope"), ' ', absl::SkipEmpty()),
                .is_insufficient_scope = parameter("error") == "insufficient_scope"};
      } else if (challenge.scheme == "basic" && next.scheme == Scheme::kUnknown) {
        next.scheme = Scheme::kBasic;
      }
    }
  }
  return next;
}

absl::StatusOr<RegistryClient::Demand> RegistryClient::Probe(const std::string& registry,
                                                             const CallContext& context) {
  ASSIGN_OR_RETURN(const std::string base, transport_->BaseUrl(registry, context));
  const HttpRequest request = {.max_silence = kMaxSilence};
  std::optional<Refusal> refusal;
  RETURN_IF_ERROR(RunWithRetries(kRetryPolicy, *clock_, context, [&]() -> Attempt {
    absl::StatusOr<std::optional<Refusal>> result =
        SendOnce(*transport_, registry, absl::StrCat(base, "/v2/"), request, context, {});
    if (!result.ok()) {
      return {.status = result.status(), .may_retry = NothingWasSent(result.status())};
    }
    refusal = *std::move(result);
    if (!refusal.has_value() || (refusal->status != 429 && refusal->status < 500)) {
      return {.status = absl::OkStatus()};
    }
    return {.status = ErrorOf(registry, absl::StrCat("asking ", registry), true, *refusal),
            .may_retry = true,
            .retry_after = ParseRetryAfter(refusal->retry_after, clock_->Now())};
  }));
  Demand demand = {.scheme = Scheme::kNone};
  if (refusal.has_value()) {
    if (refusal->status != 401) {
      return ErrorOf(registry, absl::StrCat("asking ", registry), true, *refusal);
    }
    demand = DemandOf(refusal->challenges);
    if (demand.scheme == Scheme::kUnknown) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the registry ", registry, " wants an authentication that is neither Basic nor Bearer"));
    }
  }
  Remember(registry, demand);
  return demand;
}

absl::StatusOr<SecretString> RegistryClient::Authorization(const Target& target,
                                                           const Demand& demand,
                                                           const RegistryAccess& access,
                                                           const CallContext& context) {
  const RegistryCredentials& credentials = access.credentials;
  if (demand.scheme == Scheme::kBasic) {
    if (credentials.IsAnonymous()) {
      return absl::UnauthenticatedError(absl::StrCat(
          "the registry ", target.registry,
          " wants a user name and a password: registry_token_obtain says where to make them, "
          "registry_auth takes them"));
    }
    if (credentials.IsIdentityToken()) {
      return absl::FailedPreconditionError(
          absl::StrCat("the registry ", target.registry,
                       " wants a user name and a password; an identity token alone does not do"));
    }
    std::string plain = absl::StrCat(credentials.username, ":", credentials.secret.view());
    SecretString header(absl::StrCat("Basic ", absl::Base64Escape(plain)));
    Wipe(plain);
    return header;
  }
  if (demand.scheme != Scheme::kBearer) return SecretString();
  const TokenKey key = {.tenant = context.tenant,
                        .registry = target.registry,
                        .credential_version = access.credential_version,
                        .scopes = demand.scopes};
  ASSIGN_OR_RETURN(const SecretString token, cache_->Get(key, context, [&] {
    return tokens_->Fetch({.registry = target.registry,
                           .realm = demand.realm,
                           .service = demand.service,
                           .scopes = demand.scopes},
                          credentials, context);
  }));
  return SecretString(absl::StrCat("Bearer ", token.view()));
}

absl::Status RegistryClient::FollowRedirects(const Target& target, std::string url,
                                             const HttpHeaders& headers, const CallContext& context,
                                             const HttpResponseSink& sink) {
  const std::string what = absl::StrCat("reading ", target.registry, target.target);
  for (int hop = 0; hop < kMaxRedirects; ++hop) {
    // Where blobs lie, the URL itself is what lets one in: no credentials go with it.
    HttpRequest request = {.headers = headers, .max_silence = kMaxSilence};
    request.headers.emplace_back("Accept-Encoding", "identity");
    absl::StatusOr<HttpUrl> parsed = ParseHttpUrl(url);
    if (!parsed.ok()) {
      return absl::FailedPreconditionError(
          absl::StrCat(what, ": it redirects to ", parsed.status().message()));
    }
    ASSIGN_OR_RETURN(const std::optional<Refusal> refusal,
                     SendOnce(*transport_, target.registry, url, request, context, sink));
    if (!refusal.has_value()) return absl::OkStatus();
    if (refusal->status < 300 || refusal->status >= 400) {
      return ErrorOf(absl::StrCat(parsed->host, ", where ", target.registry, " sent us,"), what,
                     /*anonymous=*/true, *refusal);
    }
    url = Resolve(*parsed, refusal->location);
  }
  return absl::FailedPreconditionError(
      absl::StrCat(what, ": more than ", kMaxRedirects, " redirects"));
}

absl::StatusOr<std::string> RegistryClient::Validate(const std::string& registry,
                                                     const RegistryCredentials& credentials,
                                                     const CallContext& context) {
  const Target target = {.registry = registry, .target = "/v2/", .scopes = {}};
  ASSIGN_OR_RETURN(Demand demand, Probe(registry, context));
  if (demand.scheme == Scheme::kNone) {
    return absl::FailedPreconditionError(
        absl::StrCat("the registry ", registry,
                     " asks nobody for credentials, so these could not be tried; nothing was "
                     "stored. import_image works without"));
  }
  RegistryAccess access = {.credentials = credentials, .credential_version = ""};
  if (demand.scheme == Scheme::kBearer && access.credentials.realm.empty()) {
    access.credentials.realm = demand.realm;
  }
  demand.scopes.clear();
  SecretString authorization;
  if (demand.scheme == Scheme::kBearer) {
    ASSIGN_OR_RETURN(
        const RegistryToken token,
        tokens_->Fetch(
            {.registry = registry, .realm = demand.realm, .service = demand.service, .scopes = {}},
            access.credentials, context));
    authorization = SecretString(absl::StrCat("Bearer ", token.value.view()));
  } else {
    ASSIGN_OR_RETURN(authorization, Authorization(target, demand, access, context));
  }
  ASSIGN_OR_RETURN(const std::string base, transport_->BaseUrl(registry, context));
  HttpRequest request = {.max_silence = kMaxSilence};
  request.headers.emplace_back("Authorization", std::string(authorization.view()));
  absl::StatusOr<std::optional<Refusal>> refusal =
      SendOnce(*transport_, registry, absl::StrCat(base, "/v2/"), request, context, {});
  Wipe(request.headers.back().second);
  RETURN_IF_ERROR(refusal.status());
  if (refusal->has_value()) {
    return ErrorOf(registry, absl::StrCat("trying the credentials at ", registry),
                   /*anonymous=*/false, **refusal);
  }
  return demand.scheme == Scheme::kBearer ? demand.realm : "";
}

absl::Status RegistryClient::AuthorizePull(const ImageReference& reference,
                                           const RegistryAccess& access,
                                           const CallContext& context) {
  Target target = {.registry = reference.registry,
                   .target = "/v2/",
                   .scopes = {absl::StrCat("repository:", reference.repository, ":pull")}};
  Demand demand = LastDemand(reference.registry);
  if (demand.scheme == Scheme::kUnknown) {
    ASSIGN_OR_RETURN(demand, Probe(reference.registry, context));
  }
  demand.scopes = target.scopes;
  return Authorization(target, demand, access, context).status();
}

RegistryClient::Demand RegistryClient::LastDemand(const std::string& registry) const {
  absl::MutexLock lock(&mutex_);
  const auto found = demands_.find(registry);
  return found == demands_.end() ? Demand() : found->second;
}

void RegistryClient::Remember(const std::string& registry, const Demand& demand) {
  absl::MutexLock lock(&mutex_);
  if (demands_.size() >= kMaxDemands) demands_.clear();
  demands_.insert_or_assign(registry, demand);
}

}  // namespace contree
