#include "standalone/mcp_stdio_client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status/status_macros.h"

extern char** environ;

namespace contree::standalone {
namespace {

using nlohmann::json;

// Waits until `fd` can be read. DeadlineExceeded.
absl::Status AwaitReadable(int fd, absl::Time deadline) {
  while (true) {
    const int64_t left = std::max<int64_t>(
        0, absl::ToInt64Milliseconds(absl::Ceil(deadline - absl::Now(), absl::Milliseconds(1))));
    pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
    const int ready = poll(&entry, 1, static_cast<int>(std::min<int64_t>(left, 1 << 30)));
    if (ready > 0) return absl::OkStatus();
    if (ready < 0 && errno != EINTR) return absl::ErrnoToStatus(errno, "poll");
    if (ready == 0 && left == 0)
      return absl::DeadlineExceededError("the server did not answer in time");
  }
}

}  // namespace

McpStdioClient::McpStdioClient(pid_t pid, UniqueFd input, UniqueFd output)
    : pid_(pid), input_(std::move(input)), output_(std::move(output)) {}

McpStdioClient::~McpStdioClient() {
  if (pid_ < 0 || CloseAndWait(absl::Seconds(5)).ok()) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

absl::StatusOr<std::unique_ptr<McpStdioClient>> McpStdioClient::Start(
    std::vector<std::string> command, const std::string& stderr_path) {
  int to_server[2];
  int from_server[2];
  if (pipe2(to_server, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe");
  UniqueFd server_input(to_server[0]);
  UniqueFd input(to_server[1]);
  if (pipe2(from_server, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe");
  UniqueFd output(from_server[0]);
  UniqueFd server_output(from_server[1]);

  std::vector<char*> argv;
  argv.reserve(command.size() + 1);
  for (std::string& word : command) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, server_input.get(), 0);
  posix_spawn_file_actions_adddup2(&actions, server_output.get(), 1);
  if (!stderr_path.empty()) {
    posix_spawn_file_actions_addopen(&actions, 2, stderr_path.c_str(),
                                     O_WRONLY | O_CREAT | O_APPEND, 0600);
  }
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t pid = 0;
  const int error =
      posix_spawnp(&pid, command[0].c_str(), &actions, &attributes, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return absl::ErrnoToStatus(error, absl::StrCat("cannot start ", command[0]));
  return std::unique_ptr<McpStdioClient>(
      new McpStdioClient(pid, std::move(input), std::move(output)));
}

absl::Status McpStdioClient::Send(const json& message) { return SendRaw(message.dump()); }

absl::Status McpStdioClient::SendRaw(const std::string& line) {
  const std::string bytes = absl::StrCat(line, "\n");
  for (size_t sent = 0; sent < bytes.size();) {
    const ssize_t written = write(input_.get(), bytes.data() + sent, bytes.size() - sent);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0)
      return absl::UnavailableError(
          absl::StrCat("the server takes no more input: ", strerror(errno)));
    sent += static_cast<size_t>(written);
  }
  return absl::OkStatus();
}

absl::StatusOr<json> McpStdioClient::Receive(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  size_t searched = 0;
  while (true) {
    if (const size_t end = buffer_.find('\n', searched); end != std::string::npos) {
      json message = json::parse(buffer_.begin(), buffer_.begin() + static_cast<ptrdiff_t>(end),
                                 nullptr, false);
      const std::string line = buffer_.substr(0, std::min<size_t>(end, 200));
      buffer_.erase(0, end + 1);
      if (message.is_discarded())
        return absl::DataLossError(absl::StrCat("the server wrote what is not JSON: ", line));
      return message;
    }
    searched = buffer_.size();
    RETURN_IF_ERROR(AwaitReadable(output_.get(), deadline));
    char chunk[65536];
    const ssize_t got = read(output_.get(), chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::ErrnoToStatus(errno, "reading from the server");
    if (got == 0) return absl::UnavailableError("the server closed its output");
    buffer_.append(chunk, static_cast<size_t>(got));
  }
}

absl::StatusOr<json> McpStdioClient::Request(const std::string& method, const json& params,
                                             absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  const int id = ++last_id_;
  json request = {{"jsonrpc", "2.0"}, {"id", id}, {"method", method}};
  if (!params.is_null()) request["params"] = params;
  RETURN_IF_ERROR(Send(request));
  while (true) {
    ASSIGN_OR_RETURN(json message, Receive(deadline - absl::Now()));
    if (message.is_object() && message.contains("id") && message["id"] == id) return message;
    if (on_progress_ != nullptr && message.value("method", "") == "notifications/progress") {
      on_progress_(message["params"].value("message", ""));
    }
    notifications_.push_back(std::move(message));
  }
}

absl::StatusOr<json> McpStdioClient::Initialize(const std::string& protocol_version,
                                                absl::Duration timeout) {
  ASSIGN_OR_RETURN(json response,
                   Request("initialize",
                           {{"protocolVersion", protocol_version},
                            {"capabilities", json::object()},
                            {"clientInfo", {{"name", "contree-client"}, {"version", "0.1.0"}}}},
                           timeout));
  if (!response.contains("result")) return absl::InvalidArgumentError(response.dump());
  RETURN_IF_ERROR(Send({{"jsonrpc", "2.0"}, {"method", "notifications/initialized"}}));
  return response["result"];
}

absl::StatusOr<json> McpStdioClient::CallTool(const std::string& name, const json& arguments,
                                              absl::Duration timeout) {
  json params = {{"name", name}, {"arguments", arguments}};
  if (on_progress_ != nullptr) params["_meta"]["progressToken"] = last_id_ + 1;
  ASSIGN_OR_RETURN(json response, Request("tools/call", params, timeout));
  if (!response.contains("result")) return absl::InvalidArgumentError(response.dump());
  return response["result"];
}

absl::StatusOr<int> McpStdioClient::CloseAndWait(absl::Duration timeout) {
  input_.Reset();
  if (pid_ < 0) return absl::FailedPreconditionError("the server's end was already waited for");
  const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  if (!process.is_open()) return absl::ErrnoToStatus(errno, "pidfd_open");
  RETURN_IF_ERROR(AwaitReadable(process.get(), absl::Now() + timeout));
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace contree::standalone
