#ifndef COMMON_TESTING_RAW_CLIENT_H_
#define COMMON_TESTING_RAW_CLIENT_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <string>

#include "absl/strings/match.h"
#include "common/files/unique_fd.h"
#include "gtest/gtest.h"

namespace contree {

// A TCP connection to a port of this machine that sends what it is told to, byte for byte: for
// requests that no HTTP library would send. One thread at a time.
class RawClient {
 public:
  explicit RawClient(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<in_port_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval patience = {.tv_sec = 20, .tv_usec = 0};
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    EXPECT_EQ(connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  void Send(const std::string& bytes) {
    size_t sent = 0;
    while (sent < bytes.size()) {
      const ssize_t n = send(fd_.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) return;
      sent += static_cast<size_t>(n);
    }
  }
  // Reads until `end` was read, or the server closed the connection.
  std::string ReadUntil(const std::string& end) {
    std::string text;
    char c;
    while (!absl::EndsWith(text, end) && recv(fd_.get(), &c, 1, 0) == 1) text.push_back(c);
    return text;
  }
  // What is there, at least a byte; "": the server closed the connection.
  std::string ReadSome() {
    std::string text(64 * 1024, '\0');
    const ssize_t n = recv(fd_.get(), text.data(), text.size(), 0);
    text.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return text;
  }
  std::string ReadAll() {
    std::string text;
    char buffer[4096];
    ssize_t n;
    while ((n = recv(fd_.get(), buffer, sizeof buffer, 0)) > 0) text.append(buffer, n);
    EXPECT_EQ(n, 0) << "the server did not close the connection";
    return text;
  }
  void Close() { fd_.Reset(); }

 private:
  UniqueFd fd_;
};

}  // namespace contree

#endif  // COMMON_TESTING_RAW_CLIENT_H_
