#include "auth-service/registry/credential_helper.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/files/unique_fd.h"
#include "common/secret/secret_string.h"
#include "common/status/status_macros.h"

extern char** environ;

namespace contree {
namespace {

constexpr size_t kMaxAnswer = 256 * 1024;
constexpr size_t kMaxComplaint = 4096;

bool IsHelperName(const std::string& name) {
  return !name.empty() && name.size() <= 100 && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
  });
}

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

absl::StatusOr<Pipe> NewPipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe");
  Pipe pipe;
  pipe.read.Reset(ends[0]);
  pipe.write.Reset(ends[1]);
  return pipe;
}

// Reads both until their end. False: too late.
bool ReadBoth(int answer_fd, std::string& answer, int complaint_fd, std::string& complaint,
              absl::Time deadline) {
  pollfd entries[] = {{.fd = answer_fd, .events = POLLIN, .revents = 0},
                      {.fd = complaint_fd, .events = POLLIN, .revents = 0}};
  std::string* const texts[] = {&answer, &complaint};
  const size_t bounds[] = {kMaxAnswer, kMaxComplaint};
  while (entries[0].fd >= 0 || entries[1].fd >= 0) {
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) return false;
    poll(entries, 2, static_cast<int>(absl::ToInt64Milliseconds(left)) + 1);
    for (int i = 0; i < 2; ++i) {
      if (entries[i].fd < 0 || entries[i].revents == 0) continue;
      char buffer[4096];
      const ssize_t got = read(entries[i].fd, buffer, sizeof buffer);
      if (got <= 0) {
        if (got < 0 && errno == EINTR) continue;
        entries[i].fd = -1;
        continue;
      }
      const size_t room = bounds[i] - std::min(bounds[i], texts[i]->size());
      texts[i]->append(buffer, std::min(room, static_cast<size_t>(got)));
    }
  }
  return true;
}

}  // namespace

absl::StatusOr<std::optional<RegistryCredentials>> AskCredentialHelper(const std::string& name,
                                                                       const std::string& server,
                                                                       absl::Duration timeout) {
  if (!IsHelperName(name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", absl::CHexEscape(name), "\" cannot be the name of a credential helper"));
  }
  const std::string program = absl::StrCat("docker-credential-", name);
  // A file and no pipe: a helper may end without reading it.
  const UniqueFd input(memfd_create("credential-helper-input", MFD_CLOEXEC));
  if (!input.is_open() ||
      write(input.get(), server.data(), server.size()) != static_cast<ssize_t>(server.size()) ||
      lseek(input.get(), 0, SEEK_SET) != 0) {
    return absl::ErrnoToStatus(errno, "cannot prepare the input of a credential helper");
  }
  ASSIGN_OR_RETURN(Pipe output, NewPipe());
  ASSIGN_OR_RETURN(Pipe errors, NewPipe());
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  const absl::Cleanup free_actions = [&actions] { posix_spawn_file_actions_destroy(&actions); };
  posix_spawn_file_actions_adddup2(&actions, input.get(), 0);
  posix_spawn_file_actions_adddup2(&actions, output.write.get(), 1);
  posix_spawn_file_actions_adddup2(&actions, errors.write.get(), 2);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  const absl::Cleanup free_attributes = [&attributes] { posix_spawnattr_destroy(&attributes); };
  // A group of its own, to end what it started with it, and no signal blocked as in our threads.
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
  std::string verb = "get";
  std::string program_word = program;
  char* argv[] = {program_word.data(), verb.data(), nullptr};
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, program.c_str(), &actions, &attributes, argv, environ);
  if (error != 0) {
    return absl::NotFoundError(
        absl::StrCat("the credential helper ", program,
                     " cannot be started: ", absl::ErrnoToStatus(error, "").message()));
  }
  output.write.Reset();
  errors.write.Reset();
  std::string answer;
  std::string complaint;
  const absl::Cleanup wipe = [&answer] { Wipe(answer); };
  answer.reserve(kMaxAnswer);  // never copied while it grows
  const bool in_time =
      ReadBoth(output.read.get(), answer, errors.read.get(), complaint, absl::Now() + timeout);
  if (!in_time) kill(-pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!in_time) {
    return absl::DeadlineExceededError(
        absl::StrCat("the credential helper ", program, " did not answer within ",
                     absl::ToInt64Seconds(timeout), " s and was ended"));
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    // Helpers say so on stdout, as their protocol wants.
    if (absl::StrContains(answer, "credentials not found")) return std::nullopt;
    return absl::UnavailableError(
        absl::StrCat("the credential helper ", program,
                     " failed: ", absl::CHexEscape(absl::StripAsciiWhitespace(complaint))));
  }
  nlohmann::json json = nlohmann::json::parse(answer, nullptr, false);
  const auto is_text = [&json](const char* field) {
    return json.is_object() && json.contains(field) && json[field].is_string();
  };
  if (!is_text("Username") || !is_text("Secret")) {
    return absl::UnavailableError(absl::StrCat("the credential helper ", program,
                                               " answered something else than JSON with "
                                               "Username and Secret"));
  }
  RegistryCredentials credentials = {.username = json["Username"].get<std::string>()};
  credentials.secret = SecretString(std::move(json["Secret"].get_ref<std::string&>()));
  if (credentials.secret.empty()) return std::nullopt;
  return credentials;
}

}  // namespace contree
