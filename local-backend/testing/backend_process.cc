#include "local-backend/testing/backend_process.h"

#include <fcntl.h>
#include <httplib.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

constexpr char kProgram[] = "local-backend/contree-local-backend";

std::string ReadAll(int fd) {
  std::string text;
  char buffer[4096];
  ssize_t got;
  while ((got = read(fd, buffer, sizeof buffer)) > 0) text.append(buffer, got);
  return text;
}

}  // namespace

BackendProcess::BackendProcess(const std::string& state_directory,
                               const std::vector<std::string>& flags,
                               const std::function<void()>& before_exec) {
  int ready[2];
  if (pipe(ready) != 0) std::abort();
  const std::string log = absl::StrCat(state_directory, ".log");
  char program[PATH_MAX];
  if (realpath(kProgram, program) == nullptr) std::abort();
  std::vector<std::string> words = {program,
                                    "--state-dir",
                                    state_directory,
                                    "--ready-fd",
                                    absl::StrCat(ready[1]),
                                    "--grpc-listen",
                                    ""};
  words.insert(words.end(), flags.begin(), flags.end());
  // By descriptor: what runs before may put the program's directory out of reach.
  const int program_fd = open(program, O_PATH | O_CLOEXEC);
  pid_ = fork();
  if (pid_ == 0) {
    close(ready[0]);
    const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    dup2(out, 2);
    if (before_exec) before_exec();
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    fexecve(program_fd, argv.data(), environ);
    _exit(99);
  }
  close(program_fd);
  close(ready[1]);
  readiness_ = ReadAll(ready[0]);
  close(ready[0]);
  std::ifstream lines(log);
  for (std::string line; std::getline(lines, line);) {
    const auto entry = nlohmann::json::parse(line, nullptr, false);
    if (!entry.is_object() || !entry.contains("http")) continue;
    url_ = entry.value("http", "");
    admin_url_ = entry.value("admin", "");
  }
}

BackendProcess::~BackendProcess() {
  if (pid_ < 0) return;
  kill(pid_, SIGTERM);
  Wait();
}

int BackendProcess::Wait() {
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void BackendProcess::Kill(int signal) { kill(pid_, signal); }

Answer BackendProcess::Request(const std::string& method, const std::string& target,
                               const nlohmann::json& body, const std::string& token,
                               const std::vector<std::pair<std::string, std::string>>& headers) {
  httplib::Client client(url_);
  client.set_read_timeout(60);
  httplib::Request request;
  request.method = method;
  request.path = target;
  if (!token.empty()) request.set_header("Authorization", "Bearer " + token);
  for (const auto& [name, value] : headers) request.set_header(name, value);
  if (!body.is_null()) {
    request.set_header("Content-Type", "application/json");
    request.body = body.is_string() ? body.get<std::string>() : body.dump();
  }
  const auto result = client.send(request);
  if (!result) return {.status = -1, .body = httplib::to_string(result.error()), .location = ""};
  return {.status = result->status,
          .body = result->body,
          .location = result->get_header_value("Location"),
          .headers = {result->headers.begin(), result->headers.end()}};
}

std::string BackendProcess::Health() {
  httplib::Client client(admin_url_);
  const auto result = client.Get("/healthz");
  return result ? result->body : httplib::to_string(result.error());
}

std::string BackendProcess::Start(nlohmann::json fields) {
  if (!fields.contains("image")) fields["image"] = "tag:busybox:latest";
  if (!fields.contains("shell")) fields["shell"] = true;
  if (!fields.contains("disposable")) fields["disposable"] = true;
  const Answer answer = Request("POST", "/v1/instances", fields);
  EXPECT_EQ(answer.status, 201) << answer.body;
  const auto json = answer.json();
  return json.is_object() ? json.value("uuid", "") : "";
}

std::vector<ServerEvent> BackendProcess::Follow(const std::string& operation,
                                                const std::string& query) {
  const Answer answer =
      Request("GET", absl::StrCat("/v1/operations/", operation, "/events?", query));
  EXPECT_EQ(answer.status, 200) << answer.body;
  return ParseEvents(answer.body);
}

nlohmann::json BackendProcess::Run(const nlohmann::json& fields) {
  const std::string operation = Start(fields);
  Follow(operation);
  return Request("GET", "/v1/operations/" + operation).json();
}

std::vector<ServerEvent> ParseEvents(const std::string& stream) {
  std::vector<ServerEvent> events;
  for (absl::string_view frame : absl::StrSplit(stream, "\n\n", absl::SkipEmpty())) {
    ServerEvent event;
    for (absl::string_view line : absl::StrSplit(frame, '\n')) {
      if (absl::ConsumePrefix(&line, "id: ")) {
        EXPECT_TRUE(absl::SimpleAtoi(line, &event.id));
      }
      if (absl::ConsumePrefix(&line, "event: ")) event.type = std::string(line);
      if (absl::ConsumePrefix(&line, "data: ")) {
        event.event = nlohmann::json::parse(line.begin(), line.end(), nullptr, false);
      }
    }
    events.push_back(std::move(event));
  }
  return events;
}

}  // namespace contree
