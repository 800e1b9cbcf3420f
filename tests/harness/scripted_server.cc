#include "tests/harness/scripted_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace contree::testing_harness {
namespace {

constexpr char kTlsHandshake = 0x16;
constexpr char kHeadEnd[] = "\r\n\r\n";

ScriptedRequest ReadRequest(int socket) {
  ScriptedRequest request;
  std::string& text = request.text;
  size_t head_end = std::string::npos;
  size_t length = 0;
  while (head_end == std::string::npos || text.size() < head_end + length) {
    char buffer[4096];
    const ssize_t got = recv(socket, buffer, sizeof buffer, 0);
    if (got <= 0) break;
    text.append(buffer, static_cast<size_t>(got));
    if (text[0] == kTlsHandshake) return {};
    if (head_end != std::string::npos) continue;
    const size_t found = text.find(kHeadEnd);
    if (found == std::string::npos) continue;
    head_end = found + 4;
    const std::vector<std::string> lines = absl::StrSplit(text.substr(0, found), "\r\n");
    const std::vector<std::string> words = absl::StrSplit(lines[0], ' ');
    request.method = words[0];
    if (words.size() > 1) request.target = words[1];
    for (size_t i = 1; i < lines.size(); ++i) {
      const size_t colon = lines[i].find(':');
      if (colon == std::string::npos) continue;
      request.headers[absl::AsciiStrToLower(lines[i].substr(0, colon))] =
          std::string(absl::StripAsciiWhitespace(lines[i].substr(colon + 1)));
    }
    (void)absl::SimpleAtoi(request.Header("content-length"), &length);
  }
  if (head_end != std::string::npos) request.body = text.substr(head_end);
  return request;
}

}  // namespace

std::string ScriptedRequest::Header(const std::string& lower_case_name) const {
  const auto found = headers.find(lower_case_name);
  return found == headers.end() ? "" : found->second;
}

bool ScriptedReply::Send(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

void ScriptedReply::Answer(int status, const std::vector<std::string>& header_lines,
                           absl::string_view body) {
  std::string head = absl::StrCat("HTTP/1.1 ", status, " Scripted\r\nContent-Length: ", body.size(),
                                  "\r\nConnection: close\r\n");
  for (const std::string& line : header_lines) absl::StrAppend(&head, line, "\r\n");
  if (Send(absl::StrCat(head, "\r\n"))) Send(body);
}

bool ScriptedReply::Pause(absl::Duration duration) {
  pollfd entry = {.fd = socket_, .events = POLLIN, .revents = 0};
  return poll(&entry, 1, static_cast<int>(absl::ToInt64Milliseconds(duration))) == 0;
}

ScriptedServer::ScriptedServer(Script script, const std::string& address)
    : script_(std::move(script)), address_(address) {
  listener_.Reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in name = {};
  name.sin_family = AF_INET;
  socklen_t size = sizeof name;
  if (inet_pton(AF_INET, address.c_str(), &name.sin_addr) != 1 ||
      bind(listener_.get(), reinterpret_cast<sockaddr*>(&name), size) != 0 ||
      listen(listener_.get(), 64) != 0 ||
      getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&name), &size) != 0) {
    std::cerr << "a scripted server cannot listen on " << address << std::endl;
    std::abort();
  }
  port_ = ntohs(name.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

ScriptedServer::~ScriptedServer() {
  std::vector<std::thread> threads;
  {
    absl::MutexLock lock(&mutex_);
    ends_ = true;
    for (const UniqueFd& socket : sockets_) shutdown(socket.get(), SHUT_RDWR);
  }
  shutdown(listener_.get(), SHUT_RDWR);  // ends accept
  acceptor_.join();
  {
    absl::MutexLock lock(&mutex_);
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) thread.join();
}

void ScriptedServer::Accept() {
  while (true) {
    UniqueFd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket.is_open()) return;
    absl::MutexLock lock(&mutex_);
    if (ends_) return;
    const int number = socket.get();
    sockets_.push_back(std::move(socket));
    threads_.emplace_back([this, number] { Serve(number); });
  }
}

void ScriptedServer::Serve(int socket) {
  const ScriptedRequest request = ReadRequest(socket);
  if (request.method.empty()) {
    // No request, or the beginning of a TLS handshake, which is told at once that this is none.
    shutdown(socket, SHUT_RDWR);
    return;
  }
  {
    absl::MutexLock lock(&mutex_);
    requests_.push_back(request);
  }
  ScriptedReply reply(socket);
  script_(request, reply);
  shutdown(socket, SHUT_RDWR);
}

std::string ScriptedServer::host() const { return absl::StrCat(address_, ":", port_); }
std::string ScriptedServer::url() const { return absl::StrCat("http://", host()); }

std::vector<ScriptedRequest> ScriptedServer::requests() const {
  absl::MutexLock lock(&mutex_);
  return requests_;
}

bool ScriptedServer::Saw(const std::string& secret, const std::string& user) const {
  const std::string login = absl::Base64Escape(absl::StrCat(user, ":", secret));
  absl::MutexLock lock(&mutex_);
  for (const ScriptedRequest& request : requests_) {
    if (absl::StrContains(request.text, secret) || absl::StrContains(request.text, login)) {
      return true;
    }
  }
  return false;
}

}  // namespace contree::testing_harness
