#include "standalone/doctor/isolation_checks.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/files/state_directory.h"
#include "common/files/unique_fd.h"
#include "local-backend/sandbox/seccomp_filter.h"
#include "local-backend/sandbox/user_namespace.h"
#include "standalone/doctor/program_run.h"

namespace contree::standalone {
namespace {

using State = Check::State;

constexpr absl::Duration kTrialTimeout = absl::Seconds(20);
constexpr size_t kMaxSmallFile = 1 << 20;

std::string ReadIfThere(const std::string& path) {
  return ReadFile(path, kMaxSmallFile).value_or("");
}

// "commands cannot be isolated: WHAT; REMEDY", as the backend says it.
Check FailedAsTheBackendSays(const std::string& name, absl::string_view message) {
  absl::ConsumePrefix(&message, "commands cannot be isolated: ");
  const size_t semicolon = message.find("; ");
  if (semicolon == absl::string_view::npos) {
    return {.name = name, .state = State::kFailed, .detail = std::string(message)};
  }
  return {.name = name,
          .state = State::kFailed,
          .detail = std::string(message.substr(0, semicolon)),
          .remedy = std::string(message.substr(semicolon + 2))};
}

std::string UserName() {
  const passwd* user = getpwuid(geteuid());
  return user == nullptr ? absl::StrCat(geteuid()) : user->pw_name;
}

// Where this process is in the unified hierarchy; empty: nowhere that can be seen.
std::string OwnCgroup() {
  struct statfs info {};
  std::string root = "/sys/fs/cgroup";
  if (statfs(root.c_str(), &info) != 0 ||
      static_cast<unsigned long>(info.f_type) != CGROUP2_SUPER_MAGIC) {
    root = "/sys/fs/cgroup/unified";
    if (statfs(root.c_str(), &info) != 0 ||
        static_cast<unsigned long>(info.f_type) != CGROUP2_SUPER_MAGIC) {
      return "";
    }
  }
  for (absl::string_view line : absl::StrSplit(ReadIfThere("/proc/self/cgroup"), '\n')) {
    if (absl::ConsumePrefix(&line, "0::")) {
      return absl::StrCat(root, line == "/" ? "" : line);
    }
  }
  return "";
}

constexpr char kDelegate[] =
    "systemd-run --user --scope -p Delegate=yes contree-mcp ... (as root: a unit with "
    "Delegate=yes)";

}  // namespace

Check CheckUserNamespaces() {
  const std::string name = "user namespaces";
  std::string directory =
      absl::StrCat(std::filesystem::temp_directory_path().string(), "/contree-doctor-XXXXXX");
  if (mkdtemp(directory.data()) == nullptr) {
    return {.name = name,
            .state = State::kFailed,
            .detail = absl::StrCat("cannot make ", directory, ": ", strerror(errno)),
            .remedy = "make the directory for temporary files writable, or set TMPDIR"};
  }
  const absl::Cleanup remove = [&directory] { rmdir(directory.c_str()); };
  const absl::Status status = TryInChild(
      [&directory] { return EnterPrivateNamespaces(directory).status(); }, kTrialTimeout);
  if (!status.ok()) return FailedAsTheBackendSays(name, status.message());
  return {.name = name,
          .detail = absl::StrCat("one with ", kNamespaceIds, " ids was made and entered")};
}

Check CheckSubordinateIds() {
  const std::string name = "subordinate ids";
  if (geteuid() == 0)
    return {.name = name, .state = State::kNotNeeded, .detail = "root maps ids itself"};
  const std::string user = UserName();
  std::vector<std::string> lacking;
  for (const char* file : {"/etc/subuid", "/etc/subgid"}) {
    if (!FindSubordinateIds(ReadIfThere(file), user, geteuid(), kNamespaceIds - 1).has_value()) {
      lacking.emplace_back(file);
    }
  }
  if (lacking.empty()) return {.name = name, .detail = absl::StrCat(user, " has them")};
  return {.name = name,
          .state = State::kFailed,
          .detail = absl::StrCat(user, " has fewer than ", kNamespaceIds - 1, " in ",
                                 absl::StrJoin(lacking, " and ")),
          .remedy = absl::StrCat("sudo usermod --add-subuids 100000-165535 --add-subgids "
                                 "100000-165535 ",
                                 user)};
}

Check CheckSeccomp() {
  const std::string name = "seccomp";
  if (const auto filter = MakeSeccompFilter(); !filter.ok()) {
    return FailedAsTheBackendSays(name, filter.status().message());
  }
  const absl::Status status = TryInChild(
      [] {
        sock_filter allow = {.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = SECCOMP_RET_ALLOW};
        const sock_fprog program = {.len = 1, .filter = &allow};
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
          return absl::ErrnoToStatus(errno, "a filter of system calls cannot be loaded");
        }
        return absl::OkStatus();
      },
      kTrialTimeout);
  if (status.ok()) return {.name = name, .detail = "a filter of system calls was loaded"};
  return {.name = name,
          .state = State::kFailed,
          .detail = std::string(status.message()),
          .remedy = "use a kernel with CONFIG_SECCOMP_FILTER; in a container, allow seccomp(2)"};
}

Check CheckCgroups() {
  const std::string name = "cgroups";
  const std::string own = OwnCgroup();
  if (own.empty()) {
    return {.name = name,
            .state = State::kWarning,
            .detail =
                "there is no unified hierarchy (cgroup v2): the memory and processes of a run "
                "are bounded by the machine alone",
            .remedy = "boot with systemd.unified_cgroup_hierarchy=1"};
  }
  const std::string controllers = ReadIfThere(absl::StrCat(own, "/cgroup.controllers"));
  const std::set<std::string> available =
      absl::StrSplit(controllers, absl::ByAnyChar(" \n"), absl::SkipEmpty());
  std::vector<std::string> lacking;
  for (const char* controller : {"memory", "pids", "cpu"}) {
    if (!available.contains(controller)) lacking.emplace_back(controller);
  }
  if (!lacking.empty()) {
    return {.name = name,
            .state = State::kWarning,
            .detail = absl::StrCat("the unified hierarchy does not control ",
                                   absl::StrJoin(lacking, ", "), " here (", own,
                                   "): runs are not bounded by it"),
            .remedy = kDelegate};
  }
  const std::string trial = absl::StrCat(own, "/contree-doctor-", getpid());
  if (mkdir(trial.c_str(), 0755) != 0) {
    return {.name = name,
            .state = State::kWarning,
            .detail = absl::StrCat("no cgroup can be made below ", own, ": ", strerror(errno)),
            .remedy = kDelegate};
  }
  rmdir(trial.c_str());
  return {.name = name, .detail = "memory, pids and cpu can be limited"};
}

Check CheckNetwork() {
  const std::string name = "network";
  const UniqueFd tun(open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  if (!tun.is_open()) {
    return {.name = name,
            .state = State::kWarning,
            .detail = absl::StrCat("/dev/net/tun cannot be opened (", strerror(errno),
                                   "): sandboxes have no network"),
            .remedy = errno == ENOENT ? "sudo modprobe tun (a container: --device /dev/net/tun)"
                                      : "sudo chmod 666 /dev/net/tun"};
  }
  std::vector<std::string> words = {"pasta", "--config-net", "--no-map-gw"};
  if (geteuid() == 0) words.insert(words.end(), {"--runas", "0"});
  words.insert(words.end(), {"--", "/bin/true"});
  const absl::StatusOr<ProgramEnd> end = RunProgram(std::move(words), kTrialTimeout);
  if (absl::IsNotFound(end.status())) {
    return {.name = name,
            .state = State::kWarning,
            .detail = "the program pasta is missing: sandboxes have no network",
            .remedy = "sudo apt-get install passt"};
  }
  if (!end.ok() || end->exit_code != 0) {
    const std::string reason = end.ok() ? std::string(absl::StripAsciiWhitespace(end->output))
                                        : std::string(end.status().message());
    return {.name = name,
            .state = State::kWarning,
            .detail = absl::StrCat("pasta cannot make a network for a sandbox: ",
                                   absl::StrJoin(absl::StrSplit(reason, '\n'), " ")),
            .remedy = "see what pasta says: pasta --config-net -- /bin/true"};
  }
  return {.name = name, .detail = "pasta can give a sandbox one of its own"};
}

}  // namespace contree::standalone
