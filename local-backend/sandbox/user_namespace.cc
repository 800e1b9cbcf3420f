#include "local-backend/sandbox/user_namespace.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/files/state_directory.h"
#include "common/files/unique_fd.h"
#include "common/status/status_context.h"
#include "common/status/status_macros.h"

namespace contree {
namespace {

// Where root has no entry in /etc/subuid: the start of the range that systemd gives to container
// user namespaces.
constexpr uint32_t kDefaultRootBase = 1'879'048'192;
constexpr size_t kMaxSmallFile = 1 << 20;

absl::Status Missing(absl::string_view what, int error, absl::string_view remedy) {
  return absl::FailedPreconditionError(
      absl::StrCat("commands cannot be isolated: ", what,
                   error == 0 ? "" : absl::StrCat(": ", strerror(error)), "; ", remedy));
}

std::string ReadIfThere(const char* path) { return ReadFile(path, kMaxSmallFile).value_or(""); }

// Whether one line of the map holds them all: a line of a nested map may not span two.
bool Covers(const std::vector<IdRange>& map, uint32_t first, uint32_t count) {
  for (const IdRange& range : map) {
    if (first >= range.inside &&
        static_cast<uint64_t>(first) + count <= static_cast<uint64_t>(range.inside) + range.count) {
      return true;
    }
  }
  return false;
}

bool IsInitialNamespace(const std::vector<IdRange>& map) {
  return map.size() == 1 && map[0] == IdRange{0, 0, 4'294'967'295};
}

std::string ToText(const std::vector<IdRange>& map) {
  return absl::StrJoin(map, "", [](std::string* out, const IdRange& range) {
    absl::StrAppend(out, range.inside, " ", range.outside, " ", range.count, "\n");
  });
}

// The map for one kind of id ("uid" or "gid"), seen from outside.
absl::StatusOr<std::vector<IdRange>> ChooseMap(absl::string_view kind, uint32_t own_id) {
  const std::string file = absl::StrCat("/etc/sub", kind);
  const std::string subordinate = ReadIfThere(file.c_str());
  if (geteuid() != 0) {
    const passwd* user = getpwuid(geteuid());
    const std::string name = user == nullptr ? absl::StrCat(geteuid()) : user->pw_name;
    const auto base = FindSubordinateIds(subordinate, name, geteuid(), kNamespaceIds - 1);
    if (!base.has_value()) {
      return Missing(absl::StrCat("the user ", name, " has no subordinate ids in ", file), 0,
                     absl::StrCat("as root, run: usermod --add-subuids 100000-165535 --add-subgids "
                                  "100000-165535 ",
                                  name));
    }
    return std::vector<IdRange>{{0, own_id, 1}, {1, *base, kNamespaceIds - 1}};
  }
  const std::vector<IdRange> current =
      ParseIdMap(ReadIfThere(absl::StrCat("/proc/self/", kind, "_map").c_str()));
  const uint32_t base =
      FindSubordinateIds(subordinate, "root", 0, kNamespaceIds).value_or(kDefaultRootBase);
  if (Covers(current, base, kNamespaceIds)) {
    return std::vector<IdRange>{{0, base, kNamespaceIds}};
  }
  // Root of a container with a user namespace of its own: its ids are no more than an ordinary
  // user's outside.
  if (!IsInitialNamespace(current) && Covers(current, 0, 1) &&
      Covers(current, 1, kNamespaceIds - 1)) {
    return std::vector<IdRange>{{0, 0, 1}, {1, 1, kNamespaceIds - 1}};
  }
  return Missing(
      absl::StrCat("this user namespace has fewer than ", kNamespaceIds, " ", kind, "s"), 0,
      absl::StrCat("give the container more ids, or list a range of them for root in ", file));
}

absl::Status WriteMap(const std::string& path, const std::string& text) {
  const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.is_open() ||
      write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return Missing(absl::StrCat("cannot write ", path), errno,
                   "the program needs CAP_SETUID and CAP_SETGID; in a container, do not drop them");
  }
  return absl::OkStatus();
}

absl::Status RunMapTool(const char* tool, pid_t target, const std::vector<IdRange>& map) {
  std::vector<std::string> words = {tool, absl::StrCat(target)};
  for (const IdRange& range : map) {
    for (const uint32_t number : {range.inside, range.outside, range.count}) {
      words.push_back(absl::StrCat(number));
    }
  }
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t child = -1;
  const int error = posix_spawnp(&child, tool, nullptr, nullptr, argv.data(), environ);
  if (error != 0) {
    return Missing(absl::StrCat("cannot run ", tool), error, "install the package uidmap");
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return Missing(absl::StrCat(tool, " refused the map of ids"), 0,
                   "see its message above; the package uidmap must be installed with its set-uid "
                   "programs, and "
                   "/etc/subuid and /etc/subgid must list this user");
  }
  return absl::OkStatus();
}

// Runs in the helper, which stays outside.
absl::Status WriteMaps(pid_t target, const std::vector<IdRange>& uids,
                       const std::vector<IdRange>& gids) {
  if (geteuid() == 0) {
    RETURN_IF_ERROR(WriteMap(absl::StrCat("/proc/", target, "/uid_map"), ToText(uids)));
    return WriteMap(absl::StrCat("/proc/", target, "/gid_map"), ToText(gids));
  }
  RETURN_IF_ERROR(RunMapTool("newuidmap", target, uids));
  return RunMapTool("newgidmap", target, gids);
}

// Why unshare(CLONE_NEWUSER) fails, in terms of what an administrator can do.
absl::Status NoUserNamespace(int error) {
  std::string remedy;
  if (ReadIfThere("/proc/sys/user/max_user_namespaces") == "0\n") {
    remedy = "user namespaces are off: run sysctl -w user.max_user_namespaces=15000";
  } else if (ReadIfThere("/proc/sys/kernel/unprivileged_userns_clone") == "0\n") {
    remedy = "run sysctl -w kernel.unprivileged_userns_clone=1";
  } else if (error == ENOSPC || error == EUSERS) {
    remedy = "the limit user.max_user_namespaces is reached or 0: raise it with sysctl";
  } else {
    remedy =
        "a container's seccomp or AppArmor profile may forbid it (docker: --security-opt "
        "seccomp=unconfined "
        "--security-opt apparmor=unconfined), or sysctl "
        "kernel.apparmor_restrict_unprivileged_userns";
  }
  return Missing("making a user namespace failed", error, remedy);
}

class Pipe {
 public:
  absl::Status Open() {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe2");
    read_end.Reset(fds[0]);
    write_end.Reset(fds[1]);
    return absl::OkStatus();
  }
  UniqueFd read_end;
  UniqueFd write_end;
};

// Enters the namespaces; a forked helper writes the maps, since a process may not map other ids for
// itself.
absl::Status UnshareWithMaps(const std::vector<IdRange>& uids, const std::vector<IdRange>& gids) {
  Pipe unshared;  // us -> helper: one byte
  Pipe mapped;    // helper -> us: an error's text, or nothing
  RETURN_IF_ERROR(unshared.Open());
  RETURN_IF_ERROR(mapped.Open());
  const pid_t target = getpid();
  const pid_t helper = fork();
  if (helper < 0) return absl::ErrnoToStatus(errno, "fork");
  char byte = 0;
  if (helper == 0) {
    unshared.write_end.Reset();
    if (read(unshared.read_end.get(), &byte, 1) != 1) _exit(0);
    const absl::Status status = WriteMaps(target, uids, gids);
    const std::string text(status.message());
    _exit(write(mapped.write_end.get(), text.data(), text.size()) ==
                  static_cast<ssize_t>(text.size())
              ? 0
              : 1);
  }
  mapped.write_end.Reset();
  const int failure = unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 ? 0 : errno;
  if (failure == 0 && write(unshared.write_end.get(), "u", 1) != 1)
    return absl::ErrnoToStatus(errno, "write");
  unshared.write_end.Reset();
  std::string error;
  char buffer[1024];
  ssize_t got;
  while ((got = read(mapped.read_end.get(), buffer, sizeof buffer)) > 0) error.append(buffer, got);
  int status = 0;
  while (waitpid(helper, &status, 0) < 0 && errno == EINTR) {
  }
  if (failure != 0) return NoUserNamespace(failure);
  if (!error.empty()) {
    return absl::FailedPreconditionError(error);
  }
  if (status != 0) return absl::InternalError("the process that writes the maps of ids failed");
  return absl::OkStatus();
}

absl::StatusOr<std::string> BindWorkingDirectory() {
  // Any directory that every system has: what lies there is hidden from this process only.
  for (const char* place : {"/mnt", "/srv", "/media", "/opt", "/var/tmp", "/tmp"}) {
    struct stat info;
    if (stat(place, &info) != 0 || !S_ISDIR(info.st_mode)) continue;
    if (mount(".", place, nullptr, MS_BIND, nullptr) != 0) continue;
    if (chdir(place) != 0) return absl::ErrnoToStatus(errno, absl::StrCat("chdir ", place));
    return std::string(place);
  }
  return absl::ErrnoToStatus(
      errno, "cannot bind-mount the state directory in a mount namespace of its own");
}

}  // namespace

std::optional<uint32_t> FindSubordinateIds(absl::string_view subid_file, absl::string_view name,
                                           uint32_t id, uint32_t count) {
  for (absl::string_view line : absl::StrSplit(subid_file, '\n')) {
    const std::vector<absl::string_view> fields = absl::StrSplit(line, ':');
    if (fields.size() != 3 || (fields[0] != name && fields[0] != absl::StrCat(id))) continue;
    uint32_t first;
    uint32_t available;
    if (absl::SimpleAtoi(fields[1], &first) && absl::SimpleAtoi(fields[2], &available) &&
        available >= count && first > 0) {
      return first;
    }
  }
  return std::nullopt;
}

std::vector<IdRange> ParseIdMap(absl::string_view text) {
  std::vector<IdRange> map;
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipWhitespace())) {
    const std::vector<absl::string_view> fields =
        absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    IdRange range;
    if (fields.size() == 3 && absl::SimpleAtoi(fields[0], &range.inside) &&
        absl::SimpleAtoi(fields[1], &range.outside) && absl::SimpleAtoi(fields[2], &range.count)) {
      map.push_back(range);
    }
  }
  return map;
}

absl::StatusOr<NamespaceRoot> RootOutside() {
  ASSIGN_OR_RETURN(const std::vector<IdRange> uids, ChooseMap("uid", geteuid()));
  ASSIGN_OR_RETURN(const std::vector<IdRange> gids, ChooseMap("gid", getegid()));
  return NamespaceRoot{.uid = uids[0].outside, .gid = gids[0].outside};
}

absl::StatusOr<std::string> EnterPrivateNamespaces(const std::string& directory) {
  ASSIGN_OR_RETURN(const std::vector<IdRange> uids, ChooseMap("uid", geteuid()));
  ASSIGN_OR_RETURN(const std::vector<IdRange> gids, ChooseMap("gid", getegid()));
  const UniqueFd before(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!before.is_open() || fchdir(before.get()) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot enter ", directory));
  }
  if (geteuid() == 0 && (fchown(before.get(), uids[0].outside, gids[0].outside) != 0 ||
                         fchmod(before.get(), 0700) != 0)) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("cannot give ", directory, " to uid ", uids[0].outside));
  }
  RETURN_IF_ERROR(UnshareWithMaps(uids, gids));
  if (setgroups(0, nullptr) != 0 || setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0) {
    return absl::ErrnoToStatus(errno, "cannot become uid 0 of the new user namespace");
  }
  // The change of ids took /proc/self away from us; children reach memory files and the state
  // directory through it.
  prctl(PR_SET_DUMPABLE, 1);
  umask(0022);
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return absl::ErrnoToStatus(errno, "cannot make the mounts private");
  }
  return BindWorkingDirectory();
}

}  // namespace contree
