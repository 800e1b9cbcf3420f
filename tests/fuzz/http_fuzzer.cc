// Requests as the network brings them to the HTTP transport: an input is the head's lines, an empty
// line, and the body, whose length is put in front of it; or, if it begins with a "!", the bytes as
// they are. Whatever comes, the answer is HTTP, and none of it is an accident (500).

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "common/files/unique_fd.h"
#include "gateway/transport/http_transport.h"
#include "tests/fuzz/fuzzed_server.h"

namespace contree::fuzz {
namespace {

// How long the server may be silent before the connection is given up: a stream that stays open is
// no failure.
constexpr int kPatienceMs = 100;

std::string ToRequest(absl::string_view input) {
  if (absl::StartsWith(input, "!")) return std::string(input.substr(1));
  const size_t end = input.find("\n\n");
  const absl::string_view head = input.substr(0, end);
  const absl::string_view body =
      end == absl::string_view::npos ? absl::string_view() : input.substr(end + 2);
  return absl::StrCat(absl::StrReplaceAll(head, {{"\n", "\r\n"}}),
                      "\r\nContent-Length: ", body.size(), "\r\n\r\n", body);
}

// libFuzzer's alarm, once a second or so, interrupts what waits.
template <typename Call>
auto Uninterrupted(const Call& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

UniqueFd Connect(int port) {
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  // One address has 28,000 ports, and a port rests for a minute: each connection comes from another
  // one of loopback's addresses.
  constexpr uint32_t kSources = 250;
  static uint32_t connections = 0;
  sockaddr_in source = {};
  source.sin_family = AF_INET;
  source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + connections++ % kSources);
  const int yes = 1;
  setsockopt(socket.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof(yes));
  bind(socket.get(), reinterpret_cast<sockaddr*>(&source), sizeof(source));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const auto* const to = reinterpret_cast<const sockaddr*>(&address);
  // One that was interrupted goes on, and may be complete when it is asked for again.
  if (Uninterrupted([&] { return connect(socket.get(), to, sizeof(address)); }) != 0 &&
      errno != EISCONN) {
    std::cerr << "cannot connect: " << strerror(errno) << std::endl;
    std::abort();
  }
  return socket;
}

// What the server answers to these bytes, after which nothing comes.
std::string Exchange(int port, absl::string_view request) {
  const UniqueFd socket = Connect(port);
  // It may answer, and close, before it has read all.
  std::jthread sender([&socket, request] {
    absl::string_view rest = request;
    while (!rest.empty()) {
      const ssize_t sent =
          Uninterrupted([&] { return send(socket.get(), rest.data(), rest.size(), MSG_NOSIGNAL); });
      if (sent <= 0) break;
      rest.remove_prefix(static_cast<size_t>(sent));
    }
    shutdown(socket.get(), SHUT_WR);
  });
  std::string answer;
  char buffer[65536];
  pollfd readable = {.fd = socket.get(), .events = POLLIN, .revents = 0};
  while (Uninterrupted([&] { return poll(&readable, 1, kPatienceMs); }) > 0) {
    const ssize_t got =
        Uninterrupted([&] { return recv(socket.get(), buffer, sizeof(buffer), 0); });
    if (got <= 0) break;
    answer.append(buffer, static_cast<size_t>(got));
  }
  shutdown(socket.get(), SHUT_RDWR);
  return answer;
}

void Require(bool is_good, absl::string_view answer) {
  if (is_good) return;
  std::cerr << "This must not go to a client: " << answer << std::endl;
  std::abort();
}

}  // namespace

void SendInput(absl::string_view input) {
  static const auto* const server = new FuzzedServer;
  static const auto* const transport =
      new auto(*gateway::HttpTransport::Start(server->server(), {}));
  const std::string answer = Exchange((*transport)->port(), ToRequest(input));
  if (answer.empty()) return;  // nothing that could be answered came
  int status = 0;
  Require(absl::StartsWith(answer, "HTTP/1.1 ") && absl::SimpleAtoi(answer.substr(9, 3), &status) &&
              status != 500,
          answer);
}

}  // namespace contree::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  contree::fuzz::SendInput(absl::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
