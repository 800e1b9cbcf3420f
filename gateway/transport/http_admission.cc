#include "gateway/transport/http_admission.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "gateway/jsonrpc/error.h"
#include "gateway/jsonrpc/message.h"

namespace contree::gateway {
namespace {

using nlohmann::json;

constexpr char kWellKnown[] = "/.well-known/oauth-protected-resource";
constexpr char kResourcePath[] = "/mcp";
constexpr char kBothScopes[] = "contree:read contree:run";

// A Host header that a quoted string and a URL can carry; the checks of Host let nothing else in,
// but a server without authentication in front of them may be reached by any.
bool IsHost(absl::string_view host) {
  return !host.empty() && host.find_first_not_of(
                              "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                              "-._:[]") == absl::string_view::npos;
}

}  // namespace

std::string HttpAdmission::Origin(const HttpExchange& exchange) const {
  if (!options_.public_url.empty()) {
    return std::string(absl::StripSuffix(options_.public_url, "/"));
  }
  const std::string host = exchange.Header("Host").value_or("");
  const bool is_https = exchange.Header("X-Forwarded-Proto").value_or("") == "https";
  return absl::StrCat(is_https ? "https://" : "http://", IsHost(host) ? host : "localhost");
}

std::optional<Caller> HttpAdmission::Admit(HttpExchange& exchange) const {
  std::optional<Caller> caller = Identify(exchange);
  if (caller.has_value() && !IsWithinLimits(*caller, exchange)) return std::nullopt;
  return caller;
}

bool HttpAdmission::IsWithinLimits(const Caller& caller, HttpExchange& exchange) const {
  if (options_.limits == nullptr) return true;
  const absl::Duration wait = options_.limits->TakeRequest(caller.tenant);
  if (wait == absl::ZeroDuration()) return true;
  exchange.SetHeader("Retry-After",
                     absl::StrCat(absl::ToInt64Seconds(absl::Ceil(wait, absl::Seconds(1)))));
  exchange.Respond(
      429, "application/json",
      SerializeError(std::nullopt, InvalidRequest(TenantLimits::TooManyRequests(wait).message())));
  return false;
}

std::optional<Caller> HttpAdmission::Identify(HttpExchange& exchange) const {
  if (options_.authenticator == nullptr) return Caller();
  const std::string authorization = exchange.Header("Authorization").value_or("");
  const absl::string_view token = BearerTokenOf(authorization);
  absl::StatusOr<Identity> identity = options_.authenticator->Authenticate(token);
  if (!identity.ok()) {
    Refuse(401,
           absl::StrCat("Bearer ", token.empty() ? "" : R"(error="invalid_token", )", R"(scope=")",
                        kBothScopes, "\""),
           NotAuthenticated(), exchange);
    return std::nullopt;
  }
  return Caller{.tenant = std::move(identity->tenant),
                .principal = std::move(identity->principal),
                .bearer_token = std::string(token),
                .scopes = identity->scopes};
}

bool HttpAdmission::Allow(const Caller& caller, Scope scope, HttpExchange& exchange) const {
  if (caller.scopes.Has(scope)) return true;
  // What runs is also looked at: a client asks for exactly what it is told here.
  Refuse(403,
         absl::StrCat(R"(Bearer error="insufficient_scope", scope=")",
                      scope == Scope::kRead ? ScopeName(scope) : kBothScopes, "\""),
         ScopeMissing(scope), exchange);
  return false;
}

void HttpAdmission::Refuse(int status, std::string challenge, const absl::Status& reason,
                           HttpExchange& exchange) const {
  if (!options_.issuer.empty()) {
    absl::StrAppend(&challenge, R"(, resource_metadata=")", Origin(exchange), kWellKnown,
                    kResourcePath, "\"");
  }
  exchange.SetHeader("WWW-Authenticate", challenge);
  exchange.SetHeader("Cache-Control", "no-store");
  exchange.Respond(status, "application/json",
                   SerializeError(std::nullopt, InvalidRequest(reason.message())));
}

bool HttpAdmission::Describe(HttpExchange& exchange) const {
  absl::string_view path = exchange.path();
  if (options_.issuer.empty() || exchange.method() != "GET" ||
      !absl::ConsumePrefix(&path, kWellKnown) || (!path.empty() && path != kResourcePath)) {
    return false;
  }
  const nlohmann::ordered_json document = {
      {"resource", Origin(exchange) + kResourcePath},
      {"authorization_servers", json::array({options_.issuer})},
      {"scopes_supported",
       json::array({std::string(ScopeName(Scope::kRead)), std::string(ScopeName(Scope::kRun))})},
      {"bearer_methods_supported", json::array({"header"})},
      {"resource_name", "ConTree"}};
  exchange.SetHeader("Cache-Control", "max-age=300");
  exchange.Respond(200, "application/json", document.dump());
  return true;
}

}  // namespace contree::gateway
