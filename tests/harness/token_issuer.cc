#include "tests/harness/token_issuer.h"

#include <httplib.h>

#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "common/uuid/uuid.h"

namespace contree::testing_harness {
namespace {

using nlohmann::json;

std::vector<std::string> Scopes(const httplib::Request& request) {
  std::vector<std::string> scopes;
  for (auto [it, end] = request.params.equal_range("scope"); it != end; ++it) {
    for (const absl::string_view scope : absl::StrSplit(it->second, ' ', absl::SkipEmpty())) {
      scopes.emplace_back(scope);
    }
  }
  return scopes;
}

}  // namespace

TokenIssuer::TokenIssuer(const TokenIssuerOptions& options)
    : options_(options),
      certificate_(MakeAuthority(options.key)),
      server_(std::make_unique<httplib::Server>()),
      busy_answers_(options.busy_answers) {
  const auto answer = [this](const httplib::Request& request, httplib::Response& response) {
    Caller caller;
    std::string how = request.method;
    const std::string authorization = request.get_header_value("Authorization");
    if (request.method == "POST") {
      const std::string grant = request.get_param_value("grant_type");
      absl::StrAppend(&how, " ", grant);
      caller.user = kUser;
      caller.is_known = grant == "password"
                            ? request.get_param_value("username") == kUser &&
                                  request.get_param_value("password") == kPassword
                            : request.get_param_value("refresh_token") == kRefreshToken;
    } else if (!authorization.empty()) {
      std::string plain;
      absl::Base64Unescape(absl::string_view(authorization).substr(sizeof("Basic ") - 1), &plain);
      caller.user = plain.substr(0, plain.find(':'));
      caller.is_known = plain == absl::StrCat(kUser, ":", kPassword);
    }
    const std::vector<std::string> scopes = Scopes(request);
    bool is_busy;
    {
      absl::MutexLock lock(&mutex_);
      requests_.push_back(absl::StrCat(how, " ", caller.user.empty() ? "-" : caller.user,
                                       scopes.empty() ? "" : " ", absl::StrJoin(scopes, " ")));
      is_busy = busy_answers_ > 0;
      if (is_busy) --busy_answers_;
    }
    if (is_busy) {
      response.status = 429;
      response.set_header("Retry-After", "0");
    } else if (request.method == "POST" && options_.post_status != 200) {
      response.status = options_.post_status;
    } else if (!caller.is_known) {
      response.status = 401;
    } else {
      json body = {
          {options_.says_access_token ? "access_token" : "token", Token(caller.user, scopes)}};
      if (options_.expires_in > 0) body["expires_in"] = options_.expires_in;
      response.set_content(body.dump(), "application/json");
    }
  };
  server_->set_keep_alive_max_count(1);  // nobody waits for idle connections at the end
  server_->Get("/token", answer);
  server_->Post("/token", answer);
  port_ = server_->bind_to_any_port("127.0.0.1");
  thread_ = std::thread([this] { server_->listen_after_bind(); });
  while (!server_->is_running()) std::this_thread::yield();
}

TokenIssuer::~TokenIssuer() {
  server_->stop();
  thread_.join();
}

std::string TokenIssuer::realm() const {
  return absl::StrCat("http://127.0.0.1:", port_, "/token");
}

std::vector<std::string> TokenIssuer::requests() const {
  absl::MutexLock lock(&mutex_);
  return requests_;
}

std::string TokenIssuer::Token(const std::string& user,
                               const std::vector<std::string>& scopes) const {
  json access = json::array();
  for (const std::string& scope : scopes) {
    const std::vector<std::string> parts = absl::StrSplit(scope, ':');
    if (parts.size() != 3) continue;
    std::vector<std::string> actions = absl::StrSplit(parts[2], ',');
    if (user.empty()) {
      actions = absl::StartsWith(parts[1], "public/") ? std::vector<std::string>{"pull"}
                                                      : std::vector<std::string>{};
    }
    access.push_back({{"type", parts[0]}, {"name", parts[1]}, {"actions", actions}});
  }
  const int64_t now = absl::ToUnixSeconds(absl::Now());
  return SignToken(certificate_, json({{"iss", kTokenIssuer},
                                       {"sub", user},
                                       {"aud", kTokenService},
                                       {"exp", now + 600},
                                       {"nbf", now - 60},
                                       {"iat", now},
                                       {"jti", NewUuidV4()},
                                       {"access", access}})
                                     .dump());
}

}  // namespace contree::testing_harness
