#ifndef GATEWAY_TRANSPORT_HTTP_ADMISSION_H_
#define GATEWAY_TRANSPORT_HTTP_ADMISSION_H_

// Who is let in over HTTP, as MCP's authorization asks for it: a bearer token in the header
// Authorization, 401 and 403 with a WWW-Authenticate that says what is needed (RFC 6750), and,
// where tokens come from an issuer, the document that says which (RFC 9728).

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "common/auth/authenticator.h"
#include "common/http/http_server.h"
#include "common/limits/tenant_limits.h"
#include "gateway/mcp/caller.h"

namespace contree::gateway {

struct HttpAdmissionOptions {
  // Null: everybody is let in, as the Caller of a desk.
  std::shared_ptr<Authenticator> authenticator = nullptr;
  // Who makes the tokens; empty: nobody that a client could ask, and no document about it.
  std::string issuer = "";
  // Null: callers have no limits.
  std::shared_ptr<TenantLimits> limits = nullptr;
  // Where clients reach this server ("https://contree.example.com", without "/mcp"); empty: what
  // each request says.
  std::string public_url = "";
};

// Immutable, thread-safe.
class HttpAdmission {
 public:
  explicit HttpAdmission(HttpAdmissionOptions options) : options_(std::move(options)) {}

  // nullopt: the exchange was answered with 401, in the same words whatever was wrong, or with 429
  // and Retry-After, because the caller's tenant makes too many requests.
  std::optional<Caller> Admit(HttpExchange& exchange) const;

  // False: the caller lacks the scope, and the exchange was answered with 403.
  bool Allow(const Caller& caller, Scope scope, HttpExchange& exchange) const;

  // Answers GET /.well-known/oauth-protected-resource, with or without the path of the resource
  // behind it. False: the request is for something else, or there is no such document.
  bool Describe(HttpExchange& exchange) const;

 private:
  // nullopt: the exchange was answered with 401.
  std::optional<Caller> Identify(HttpExchange& exchange) const;
  // False: it is one too many, and the exchange was answered.
  bool IsWithinLimits(const Caller& caller, HttpExchange& exchange) const;
  std::string Origin(const HttpExchange& exchange) const;
  void Refuse(int status, std::string challenge, const absl::Status& reason,
              HttpExchange& exchange) const;

  const HttpAdmissionOptions options_;
};

}  // namespace contree::gateway

#endif  // GATEWAY_TRANSPORT_HTTP_ADMISSION_H_
