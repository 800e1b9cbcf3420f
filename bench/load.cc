#include "bench/load.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status/status_macros.h"

extern char** environ;

namespace contree::bench {
namespace {

struct Child {
  pid_t pid = -1;
  UniqueFd input;
  UniqueFd output;
};

absl::StatusOr<Child> Spawn(std::vector<std::string> command) {
  int to_child[2];
  int from_child[2];
  if (pipe2(to_child, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe");
  UniqueFd child_input(to_child[0]);
  Child child;
  child.input = UniqueFd(to_child[1]);
  if (pipe2(from_child, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe");
  child.output = UniqueFd(from_child[0]);
  const UniqueFd child_output(from_child[1]);

  std::vector<char*> argv;
  argv.reserve(command.size() + 1);
  for (std::string& word : command) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, child_input.get(), 0);
  posix_spawn_file_actions_adddup2(&actions, child_output.get(), 1);
  const int error = posix_spawnp(&child.pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return absl::ErrnoToStatus(error, absl::StrCat("cannot start ", command[0]));
  return child;
}

absl::Status WriteAll(int fd, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return absl::UnavailableError("the server does not read any more");
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> ReadSome(int fd, char* buffer, size_t size) {
  while (true) {
    const ssize_t got = read(fd, buffer, size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return absl::UnavailableError("the server has ended");
    return static_cast<size_t>(got);
  }
}

}  // namespace

absl::StatusOr<HttpLoad> LoadHttp(const HttpCall& call, const std::string& url, int connections,
                                  absl::Duration duration) {
  ASSIGN_OR_RETURN(
      Child wrk, Spawn({"wrk", "-t1", absl::StrCat("-c", connections),
                        absl::StrCat("-d", absl::ToInt64Seconds(duration), "s"), "-s", call.script,
                        url, "--", call.revision, call.tool, call.arguments}));
  std::string output;
  std::array<char, 4096> buffer;
  while (true) {
    const absl::StatusOr<size_t> got = ReadSome(wrk.output.get(), buffer.data(), buffer.size());
    if (!got.ok()) break;
    output.append(buffer.data(), *got);
  }
  int status = 0;
  waitpid(wrk.pid, &status, 0);
  HttpLoad load;
  const size_t result = output.find("wrk-result ");
  if (status != 0 || result == std::string::npos ||
      std::sscanf(output.c_str() + result, "wrk-result %lf %lf %lf %d", &load.calls_per_second,
                  &load.p50_ms, &load.p99_ms, &load.errors) != 4) {
    return absl::InternalError(absl::StrCat("wrk failed (install it with apt): ", output));
  }
  return load;
}

absl::StatusOr<std::unique_ptr<LineServer>> LineServer::Start(std::vector<std::string> command) {
  ASSIGN_OR_RETURN(Child child, Spawn(std::move(command)));
  return std::unique_ptr<LineServer>(
      new LineServer(child.pid, std::move(child.input), std::move(child.output)));
}

LineServer::LineServer(pid_t pid, UniqueFd input, UniqueFd output)
    : pid_(pid), input_(std::move(input)), output_(std::move(output)) {}

LineServer::~LineServer() {
  input_.Reset();
  waitpid(pid_, nullptr, 0);
}

absl::StatusOr<std::string> LineServer::Ask(const std::string& line) {
  RETURN_IF_ERROR(WriteAll(input_.get(), line));
  std::string answer;
  std::array<char, 65536> buffer;
  while (answer.empty() || answer.back() != '\n') {
    ASSIGN_OR_RETURN(const size_t got, ReadSome(output_.get(), buffer.data(), buffer.size()));
    answer.append(buffer.data(), got);
  }
  return answer;
}

absl::Status LineServer::AskMany(const std::string& rest, int64_t count, int in_flight) {
  std::string batch;
  std::array<char, 65536> buffer;
  int64_t sent = 0;
  int64_t answered = 0;
  while (answered < count) {
    batch.clear();
    for (; sent < count && sent - answered < in_flight; ++sent) {
      absl::StrAppend(&batch, R"({"jsonrpc":"2.0","id":)", sent, ",", rest, "\n");
    }
    RETURN_IF_ERROR(WriteAll(input_.get(), batch));
    ASSIGN_OR_RETURN(const size_t got, ReadSome(output_.get(), buffer.data(), buffer.size()));
    answered += std::count(buffer.data(), buffer.data() + got, '\n');
  }
  return absl::OkStatus();
}

absl::StatusOr<OpenRequests> OpenRequests::Send(int port, int count, const std::string& request) {
  OpenRequests requests;
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<in_port_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (int i = 0; i < count; ++i) {
    UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket.is_open()) return absl::ErrnoToStatus(errno, "socket");
    if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat("connection ", i));
    }
    RETURN_IF_ERROR(WriteAll(socket.get(), request));
    requests.sockets_.push_back(std::move(socket));
  }
  return requests;
}

int OpenRequests::WaitForFirstBytes(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  std::vector<pollfd> waiting;
  for (const UniqueFd& socket : sockets_) {
    waiting.push_back({.fd = socket.get(), .events = POLLIN, .revents = 0});
  }
  const auto total = static_cast<int>(waiting.size());
  while (!waiting.empty()) {
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration() ||
        poll(waiting.data(), waiting.size(), static_cast<int>(absl::ToInt64Milliseconds(left))) <=
            0) {
      break;
    }
    std::erase_if(waiting, [](const pollfd& entry) { return entry.revents != 0; });
  }
  return total - static_cast<int>(waiting.size());
}

int OpenRequests::WaitForText(const std::string& text, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  std::vector<pollfd> waiting;
  std::vector<std::string> came(sockets_.size());
  for (const UniqueFd& socket : sockets_) {
    waiting.push_back({.fd = socket.get(), .events = POLLIN, .revents = 0});
  }
  int found = 0;
  std::array<char, 65536> buffer;
  while (found < static_cast<int>(sockets_.size())) {
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration() ||
        poll(waiting.data(), waiting.size(), static_cast<int>(absl::ToInt64Milliseconds(left))) <=
            0) {
      break;
    }
    for (size_t i = 0; i < waiting.size(); ++i) {
      if (waiting[i].fd < 0 || waiting[i].revents == 0) continue;
      const ssize_t got = read(waiting[i].fd, buffer.data(), buffer.size());
      if (got > 0) came[i].append(buffer.data(), static_cast<size_t>(got));
      const bool has_text = absl::StrContains(came[i], text);
      if (has_text) ++found;
      if (has_text || got <= 0) waiting[i].fd = -1;  // poll passes over it
    }
  }
  return found;
}

}  // namespace contree::bench
