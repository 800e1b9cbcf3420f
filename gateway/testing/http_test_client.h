#ifndef GATEWAY_TESTING_HTTP_TEST_CLIENT_H_
#define GATEWAY_TESTING_HTTP_TEST_CLIENT_H_

// A client of the earlier era over HTTP.

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gateway/testing/http_exchange.h"
#include "gtest/gtest.h"

namespace contree::gateway {

inline std::string Request(const nlohmann::json& id, const std::string& method,
                           const nlohmann::json& params) {
  return nlohmann::json({{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", params}})
      .dump();
}

inline std::string InitializeBody(const std::string& version, const nlohmann::json& capabilities) {
  return Request(0, "initialize",
                 {{"protocolVersion", version},
                  {"capabilities", capabilities},
                  {"clientInfo", {{"name", "c"}, {"version", "1"}}}});
}

// A client that keeps what it was given, in front of one gateway or of several in turn.
class HttpTestClient {
 public:
  explicit HttpTestClient(std::vector<int> ports) : ports_(std::move(ports)) {}

  HttpAnswer Post(const std::string& body, const std::string& more_headers = "") {
    HttpAnswer answer = ExchangeHttp(NextPort(), "POST /mcp", Headers() + more_headers, body);
    if (const std::string id = answer.Header("Mcp-Session-Id"); !id.empty()) session_id_ = id;
    return answer;
  }
  nlohmann::json Ask(const std::string& method,
                     const nlohmann::json& params = nlohmann::json::object()) {
    return Post(Request(++id_, method, params)).Json();
  }
  void Initialize(const std::string& version = "2025-11-25",
                  const nlohmann::json& capabilities = nlohmann::json::object()) {
    const HttpAnswer answer = Post(InitializeBody(version, capabilities));
    EXPECT_EQ(answer.Json()["result"]["protocolVersion"], version) << answer.body;
    EXPECT_FALSE(session_id_.empty());
    version_ = version;
    EXPECT_EQ(Post(R"({"jsonrpc":"2.0","method":"notifications/initialized"})").status, 202);
  }
  int NextPort() { return ports_[next_++ % ports_.size()]; }
  std::string Headers() const {
    return absl::StrCat(
        session_id_.empty() ? "" : absl::StrCat("Mcp-Session-Id: ", session_id_, "\r\n"),
        version_.empty() ? "" : absl::StrCat("MCP-Protocol-Version: ", version_, "\r\n"));
  }
  const std::string& session_id() const { return session_id_; }
  void set_session_id(const std::string& id) { session_id_ = id; }

 private:
  const std::vector<int> ports_;
  size_t next_ = 0;
  int id_ = 0;
  std::string session_id_;
  std::string version_;
};

}  // namespace contree::gateway

#endif  // GATEWAY_TESTING_HTTP_TEST_CLIENT_H_
