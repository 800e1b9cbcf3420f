#include "local-backend/sandbox/bubblewrap.h"

#include <stdlib.h>
#include <unistd.h>

#include <initializer_list>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace contree {
namespace {

// What "root in a container" needs for useradd, chown, su and package managers, and no more.
constexpr const char* kCapabilities[] = {
    "CAP_AUDIT_WRITE", "CAP_CHOWN",   "CAP_DAC_OVERRIDE",     "CAP_FOWNER",
    "CAP_FSETID",      "CAP_KILL",    "CAP_NET_BIND_SERVICE", "CAP_SETFCAP",
    "CAP_SETGID",      "CAP_SETPCAP", "CAP_SETUID",           "CAP_SYS_CHROOT",
};

}  // namespace

std::vector<std::string> BubblewrapCommand(const BubblewrapOptions& options) {
  std::vector<std::string> command = {options.program,
                                      "--unshare-pid",
                                      "--unshare-ipc",
                                      "--unshare-uts",
                                      "--unshare-cgroup-try",
                                      "--die-with-parent",
                                      "--new-session",
                                      "--as-pid-1",
                                      "--clearenv",
                                      "--hostname",
                                      options.hostname,
                                      "--cap-drop",
                                      "ALL"};
  for (const char* capability : kCapabilities) {
    command.insert(command.end(), {"--cap-add", capability});
  }
  const auto add = [&command](std::initializer_list<std::string> words) {
    command.insert(command.end(), words);
  };
  add({"--seccomp", absl::StrCat(options.seccomp_fd), "--bind", options.root, "/"});
  // bubblewrap itself makes sys, sysrq-trigger, irq and bus in there read-only.
  add({"--proc", "/proc"});
  for (const std::string& file : options.masked_files) add({"--ro-bind", "/dev/null", file});
  for (const std::string& directory : options.masked_directories) {
    add({"--tmpfs", directory, "--remount-ro", directory});
  }
  add({"--dev", "/dev", "--perms", "1777"});
  if (options.shared_memory_bytes > 0) add({"--size", absl::StrCat(options.shared_memory_bytes)});
  // Only what is bounded may be written to.
  add({"--tmpfs", "/dev/shm", "--remount-ro", "/dev"});
  add({"--chdir", "/", "--", absl::StrCat("/proc/self/fd/", options.init_fd),
       absl::StrCat(options.control_fd)});
  return command;
}

void MaskProc(BubblewrapOptions& options) {
  for (const char* file :
       {"/proc/kcore", "/proc/keys", "/proc/key-users", "/proc/kmsg", "/proc/latency_stats",
        "/proc/sched_debug", "/proc/timer_list", "/proc/timer_stats"}) {
    if (access(file, F_OK) == 0) options.masked_files.emplace_back(file);
  }
  for (const char* directory : {"/proc/acpi", "/proc/asound", "/proc/fs", "/proc/scsi"}) {
    if (access(directory, F_OK) == 0) options.masked_directories.emplace_back(directory);
  }
}

std::vector<std::string> SandboxCapabilities() {
  return {std::begin(kCapabilities), std::end(kCapabilities)};
}

absl::StatusOr<std::string> FindBubblewrap(const std::string& name) {
  return FindIsolationProgram(name, "bubblewrap");
}

absl::StatusOr<std::string> FindIsolationProgram(const std::string& name,
                                                 const std::string& package) {
  if (absl::StrContains(name, '/')) {
    if (access(name.c_str(), X_OK) == 0) return name;
  } else {
    const char* path = getenv("PATH");
    for (absl::string_view directory : absl::StrSplit(
             path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path, ':', absl::SkipEmpty())) {
      std::string candidate = absl::StrCat(directory, "/", name);
      if (access(candidate.c_str(), X_OK) == 0) return candidate;
    }
  }
  return absl::FailedPreconditionError(absl::StrCat("commands cannot be isolated: the program ",
                                                    name, " is not there; install the package ",
                                                    package));
}

}  // namespace contree
