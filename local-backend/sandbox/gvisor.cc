#include "local-backend/sandbox/gvisor.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <initializer_list>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "local-backend/sandbox/bubblewrap.h"

namespace contree {
namespace {

using nlohmann::json;

// Of the command's /dev, which is gVisor's own. The init is mounted there: that leaves no trace in
// the image.
constexpr char kInitDirectory[] = "/dev/contree";

struct MountedOn {
  const char* name;
  mode_t mode;
};
constexpr MountedOn kMountedOn[] = {{"dev", 0755}, {"proc", 0555}, {"sys", 0555}, {"tmp", 01777}};

}  // namespace

std::vector<std::string> GvisorCommand(const GvisorOptions& options) {
  std::vector<std::string> command = {options.bubblewrap};
  const auto add = [&command](std::initializer_list<std::string> words) {
    command.insert(command.end(), words);
  };
  // runsc is process 1: its end is told when the kernel has ended all that it started.
  add({"--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
       "--die-with-parent", "--new-session", "--as-pid-1", "--clearenv"});
  add({"--tmpfs", "/", "--ro-bind", options.runsc, "/runsc", "--bind", options.root, "/image"});
  // runsc makes the places of its mounts; in there, not in the image.
  add({"--tmpfs", "/image/dev", "--dir", absl::StrCat("/image", kInitDirectory)});
  add({"--dir", "/init", "--perms", "0555", "--file", absl::StrCat(options.init_fd), "/init/init"});
  add({"--dir", "/bundle", "--file", absl::StrCat(options.config_fd), "/bundle/config.json"});
  add({"--proc", "/proc", "--dev", "/dev", "--dir", "/state", "--dir", "/tmp", "--dir", "/run"});
  // Its files are shared: what the command wrote is in the layer, however runsc ends.
  add({"--chdir", "/", "--", "/runsc", "--root=/state", "--platform=ptrace", "--network=none",
       "--ignore-cgroups", "--file-access=shared", "--file-access-mounts=shared", "run",
       "--bundle=/bundle", "run"});
  return command;
}

std::string GvisorConfig(const std::string& hostname) {
  json capabilities = json::array();
  for (const std::string& name : SandboxCapabilities()) capabilities.push_back(name);
  const json config = {
      {"ociVersion", "1.0.2"},
      {"process",
       {{"terminal", false},
        {"user", {{"uid", 0}, {"gid", 0}}},
        {"args", {absl::StrCat(kInitDirectory, "/init"), "0"}},
        {"env", json::array()},
        {"cwd", "/"},
        {"capabilities",
         {{"bounding", capabilities}, {"effective", capabilities}, {"permitted", capabilities}}},
        {"noNewPrivileges", true}}},
      {"root", {{"path", "/image"}, {"readonly", false}}},
      {"hostname", hostname},
      {"mounts",
       {{{"destination", "/proc"}, {"type", "proc"}, {"source", "proc"}},
        {{"destination", kInitDirectory},
         {"type", "bind"},
         {"source", "/init"},
         {"options", {"ro", "bind"}}},
        // Without it runsc covers an empty /tmp with one in memory, and what is written there is
        // lost.
        {{"destination", "/tmp"},
         {"type", "bind"},
         {"source", "/image/tmp"},
         {"options", {"rw", "bind"}}}}},
      {"linux",
       {{"namespaces",
         {{{"type", "pid"}},
          {{"type", "network"}},
          {{"type", "ipc"}},
          {{"type", "uts"}},
          {{"type", "mount"}}}}}},
  };
  return config.dump(-1, ' ', false, json::error_handler_t::replace);
}

absl::Status MakeGvisorSkeleton(const std::string& directory) {
  if (mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot make the directory ", directory));
  }
  for (const MountedOn& mounted : kMountedOn) {
    const std::string path = absl::StrCat(directory, "/", mounted.name);
    if ((mkdir(path.c_str(), mounted.mode) != 0 && errno != EEXIST) ||
        chmod(path.c_str(), mounted.mode) != 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot make the directory ", path));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckGvisorRoot(int root) {
  for (const MountedOn& mounted : kMountedOn) {
    struct stat info;
    if (fstatat(root, mounted.name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode)) {
      continue;
    }
    return absl::FailedPreconditionError(
        absl::StrCat("the image's /", mounted.name,
                     " is not a directory, which --isolation=gvisor mounts on: put a directory "
                     "there, or run it by a backend with --isolation=namespaces"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> FindRunsc(const std::string& name) {
  return FindIsolationProgram(name, "runsc");
}

}  // namespace contree
