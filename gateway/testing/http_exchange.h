#ifndef GATEWAY_TESTING_HTTP_EXCHANGE_H_
#define GATEWAY_TESTING_HTTP_EXCHANGE_H_

// One HTTP request to a server of this machine, written and read byte by byte: what an HTTP library
// would not send or hides is seen.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace contree::gateway {

struct HttpAnswer {
  int status = 0;
  std::string head;
  std::string body;  // without the chunks that it came in

  // The value of a header, named as the server writes it; empty: it is not there.
  std::string Header(const std::string& name) const;
  // The body; discarded where it is none.
  nlohmann::json Json() const { return nlohmann::json::parse(body, nullptr, false); }
  // The messages of a stream of events.
  std::vector<nlohmann::json> Events() const;
};

// The head of a request that closes the connection; Host, Content-Type and Accept are added where
// `headers` (each ended by "\r\n") lack them.
std::string HttpHead(const std::string& line, const std::string& headers, size_t body_bytes);

// `line` is "POST /mcp".
HttpAnswer ExchangeHttp(int port, const std::string& line, const std::string& headers,
                        const std::string& body);

// What ReadAll of a RawClient got.
HttpAnswer ReadHttpAnswer(const std::string& text);

}  // namespace contree::gateway

#endif  // GATEWAY_TESTING_HTTP_EXCHANGE_H_
