#ifndef COMMON_TESTING_ONE_ANSWER_SERVER_H_
#define COMMON_TESTING_ONE_ANSWER_SERVER_H_

// A server on loopback that answers every connection with the same bytes, whatever they are, and
// closes or resets it: for what no real HTTP server would send.

#include <netinet/in.h>
#include <sys/socket.h>

#include <string>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/files/unique_fd.h"
#include "gtest/gtest.h"

namespace contree {

// Thread-safe.
class OneAnswerServer {
 public:
  enum class End { kClose, kReset };

  explicit OneAnswerServer(std::string answer, End end = End::kClose)
      : answer_(std::move(answer)),
        end_(end),
        listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_.get(), 8), 0);
    EXPECT_EQ(getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    url_ = absl::StrCat("http://127.0.0.1:", ntohs(address.sin_port));
    thread_ = std::thread([this] { Serve(); });
  }
  ~OneAnswerServer() {
    shutdown(listener_.get(), SHUT_RDWR);  // ends accept
    thread_.join();
  }

  const std::string& url() const { return url_; }
  int connections() {
    absl::MutexLock lock(&mutex_);
    return connections_;
  }
  // The head of the last request.
  std::string last_request() {
    absl::MutexLock lock(&mutex_);
    return last_request_;
  }

 private:
  void Serve() {
    while (true) {
      const UniqueFd connection(accept(listener_.get(), nullptr, nullptr));
      if (!connection.is_open()) return;
      std::string head;
      char byte = 0;
      while (head.find("\r\n\r\n") == std::string::npos && read(connection.get(), &byte, 1) == 1)
        head.push_back(byte);
      {
        absl::MutexLock lock(&mutex_);
        ++connections_;
        last_request_ = head;
      }
      send(connection.get(), answer_.data(), answer_.size(), MSG_NOSIGNAL);
      if (end_ == End::kReset) {
        // The bytes first: a reset may overtake what was not read yet.
        shutdown(connection.get(), SHUT_WR);
        const linger at_once = {.l_onoff = 1, .l_linger = 0};
        setsockopt(connection.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
      }
    }
  }

  const std::string answer_;
  const End end_;
  UniqueFd listener_;
  std::string url_;
  absl::Mutex mutex_;
  int connections_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string last_request_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace contree

#endif  // COMMON_TESTING_ONE_ANSWER_SERVER_H_
