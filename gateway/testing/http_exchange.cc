#include "gateway/testing/http_exchange.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/testing/raw_client.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

std::string JoinChunks(absl::string_view text) {
  std::string joined;
  while (!text.empty()) {
    const size_t size = std::stoul(std::string(text.substr(0, 16)), nullptr, 16);
    const size_t begin = text.find("\r\n") + 2;
    absl::StrAppend(&joined, text.substr(begin, size));
    if (size == 0 || text.size() < begin + size + 2) break;
    text.remove_prefix(begin + size + 2);
  }
  return joined;
}

}  // namespace

std::string HttpAnswer::Header(const std::string& name) const {
  for (absl::string_view line : absl::StrSplit(head, "\r\n")) {
    if (absl::ConsumePrefix(&line, name + ": ")) return std::string(line);
  }
  return "";
}

std::vector<nlohmann::json> HttpAnswer::Events() const {
  std::vector<nlohmann::json> events;
  for (absl::string_view line : absl::StrSplit(body, '\n')) {
    if (absl::ConsumePrefix(&line, "data: ")) {
      events.push_back(nlohmann::json::parse(std::string(line), nullptr, false));
    }
  }
  return events;
}

std::string HttpHead(const std::string& line, const std::string& headers, size_t body_bytes) {
  const auto unless_given = [&headers](const char* name, const char* value) {
    return absl::StrContains(headers, name) ? "" : absl::StrCat(name, " ", value, "\r\n");
  };
  return absl::StrCat(line, " HTTP/1.1\r\nConnection: close\r\nContent-Length: ", body_bytes,
                      "\r\n", headers, unless_given("Host:", "localhost"),
                      unless_given("Content-Type:", "application/json"),
                      unless_given("Accept:", "application/json, text/event-stream"), "\r\n");
}

HttpAnswer ExchangeHttp(int port, const std::string& line, const std::string& headers,
                        const std::string& body) {
  RawClient client(port);
  client.Send(HttpHead(line, headers, body.size()) + body);
  return ReadHttpAnswer(client.ReadAll());
}

HttpAnswer ReadHttpAnswer(const std::string& text) {
  HttpAnswer answer;
  const size_t end = text.find("\r\n\r\n");
  answer.head = text.substr(0, end);
  if (end != std::string::npos) answer.body = text.substr(end + 4);
  if (answer.head.size() < 12 || !absl::SimpleAtoi(answer.head.substr(9, 3), &answer.status)) {
    ADD_FAILURE() << "no answer of HTTP: " << text;
  }
  if (answer.Header("Transfer-Encoding") == "chunked") answer.body = JoinChunks(answer.body);
  return answer;
}

}  // namespace contree::gateway
