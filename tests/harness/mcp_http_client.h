#ifndef TESTS_HARNESS_MCP_HTTP_CLIENT_H_
#define TESTS_HARNESS_MCP_HTTP_CLIENT_H_

// MCP over Streamable HTTP, as a client of protocol 2025-06-18 speaks it.

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "common/http/http_client.h"

namespace contree::testing_harness {

// Thread-safe.
class McpHttpClient {
 public:
  // `url` is the server's, with or without "/mcp" at its end. `bearer_token` goes with each
  // request, unless it is empty.
  explicit McpHttpClient(const std::string& url, const std::string& bearer_token = "");

  // One exchange as it is: any method, path, headers and body.
  absl::StatusOr<HttpResponse> Exchange(const HttpRequest& request);

  // POST /mcp with a JSON-RPC message and the headers of a well-behaved client.
  absl::StatusOr<HttpResponse> Post(const std::string& body, const HttpHeaders& more_headers = {});

  // tools/call; returns the "result". InvalidArgument: a JSON-RPC error, as text.
  absl::StatusOr<nlohmann::json> CallTool(const std::string& name, const nlohmann::json& arguments);

 private:
  const std::string bearer_token_;
  std::unique_ptr<HttpClient> client_;
};

}  // namespace contree::testing_harness

#endif  // TESTS_HARNESS_MCP_HTTP_CLIENT_H_
