#include "local-backend/sandbox/run_cgroups.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "common/files/state_directory.h"
#include "common/status/status_macros.h"

namespace contree {
namespace {

constexpr char kName[] = "contree";
constexpr int64_t kCpuPeriodMicroseconds = 100'000;
constexpr size_t kMaxSmallFile = 1 << 20;
// The init, and bubblewrap waiting for it.
constexpr int64_t kProcessesOfOurs = 2;

std::string ReadIfThere(const std::string& path) {
  return ReadFile(path, kMaxSmallFile).value_or("");
}

absl::Status Write(const std::string& path, absl::string_view text) {
  const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.is_open() ||
      write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return absl::FailedPreconditionError(absl::StrCat("cannot write \"", text, "\" to ", path, ": ",
                                                      absl::ErrnoToStatus(errno, "").message()));
  }
  return absl::OkStatus();
}

bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

absl::Status MakeDirectory(const std::string& path) {
  if (mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("cannot make ", path, ": ", absl::ErrnoToStatus(errno, "").message()));
}

absl::Status GiveTo(const NamespaceRoot& owner, const std::string& path) {
  if (geteuid() != 0 || chown(path.c_str(), owner.uid, owner.gid) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "cannot give ", path, " to uid ", owner.uid, ": ", absl::ErrnoToStatus(errno, "").message()));
}

// The number behind `key` in lines of "key number"; 0: none.
int64_t Field(absl::string_view text, absl::string_view key) {
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    int64_t number;
    if (absl::ConsumePrefix(&line, key) && absl::ConsumePrefix(&line, " ") &&
        absl::SimpleAtoi(line, &number)) {
      return number;
    }
  }
  return 0;
}

int64_t NumberIn(const std::string& path) {
  int64_t number = 0;
  return absl::SimpleAtoi(ReadIfThere(path), &number) ? number : 0;
}

bool HasAll(absl::string_view words, const std::vector<std::string>& wanted) {
  const std::vector<absl::string_view> there =
      absl::StrSplit(words, absl::ByAnyChar(" \n"), absl::SkipEmpty());
  return std::all_of(wanted.begin(), wanted.end(), [&there](const std::string& word) {
    return std::find(there.begin(), there.end(), word) != there.end();
  });
}

// Ends what is in a group of a dead backend.
void KillAllIn(const std::string& directory) {
  if (Write(absl::StrCat(directory, "/cgroup.kill"), "1").ok()) return;
  for (absl::string_view line :
       absl::StrSplit(ReadIfThere(absl::StrCat(directory, "/cgroup.procs")), '\n')) {
    pid_t pid;
    if (absl::SimpleAtoi(line, &pid) && pid > 1) kill(pid, SIGKILL);
  }
}

// A group and all below it, which are directories only: the files go with them.
void RemoveGroup(const std::string& directory) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
    if (entry.is_directory(ignored)) RemoveGroup(entry.path().string());
  }
  // What was killed is there until it has been reaped.
  for (int attempt = 0; rmdir(directory.c_str()) != 0 && errno == EBUSY && attempt < 50;
       ++attempt) {
    KillAllIn(directory);
    absl::SleepFor(absl::Milliseconds(2));
  }
}

// In base/contree: groups of backends that are no more.
void RemoveLeftOvers(const std::string& ours) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(ours, ignored)) {
    pid_t pid;
    if (entry.is_directory(ignored) && absl::SimpleAtoi(entry.path().filename().string(), &pid) &&
        pid > 0 && kill(pid, 0) != 0 && errno == ESRCH) {
      RemoveGroup(entry.path().string());
    }
  }
}

std::string CpuQuota(double cpus) {
  return absl::StrCat(std::max<int64_t>(1000, static_cast<int64_t>(cpus * kCpuPeriodMicroseconds)));
}

absl::Status SetMemory(const std::string& directory, bool unified, int64_t bytes) {
  if (bytes <= 0) return absl::OkStatus();
  const std::string text = absl::StrCat(bytes);
  if (unified) {
    RETURN_IF_ERROR(Write(absl::StrCat(directory, "/memory.max"), text));
    // What is pushed out to the swap would not count; absent where there is no swap accounting.
    const std::string swap = absl::StrCat(directory, "/memory.swap.max");
    return Exists(swap) ? Write(swap, "0") : absl::OkStatus();
  }
  RETURN_IF_ERROR(Write(absl::StrCat(directory, "/memory.limit_in_bytes"), text));
  const std::string with_swap = absl::StrCat(directory, "/memory.memsw.limit_in_bytes");
  return Exists(with_swap) ? Write(with_swap, text) : absl::OkStatus();
}

absl::Status SetProcesses(const std::string& directory, int64_t count) {
  if (count <= 0) return absl::OkStatus();
  return Write(absl::StrCat(directory, "/pids.max"), absl::StrCat(count + kProcessesOfOurs));
}

absl::Status SetCpus(const std::string& directory, bool unified, double cpus) {
  if (cpus <= 0) return absl::OkStatus();
  if (unified) {
    return Write(absl::StrCat(directory, "/cpu.max"),
                 absl::StrCat(CpuQuota(cpus), " ", kCpuPeriodMicroseconds));
  }
  RETURN_IF_ERROR(
      Write(absl::StrCat(directory, "/cpu.cfs_period_us"), absl::StrCat(kCpuPeriodMicroseconds)));
  return Write(absl::StrCat(directory, "/cpu.cfs_quota_us"), CpuQuota(cpus));
}

std::string Parent(const std::string& path) { return path.substr(0, path.rfind('/')); }

}  // namespace

RunCgroup::~RunCgroup() {
  clone_fd_.Reset();
  for (const std::string& directory : directories_) RemoveGroup(directory);
}

RunUsage RunCgroup::Usage() const {
  RunUsage usage;
  if (unified_) {
    const std::string cpu = ReadIfThere(absl::StrCat(cpu_, "/cpu.stat"));
    usage.user_cpu = absl::Microseconds(Field(cpu, "user_usec"));
    usage.system_cpu = absl::Microseconds(Field(cpu, "system_usec"));
    usage.out_of_memory_kills =
        Field(ReadIfThere(absl::StrCat(memory_, "/memory.events")), "oom_kill");
  } else {
    if (!cpu_.empty()) {
      usage.user_cpu = absl::Nanoseconds(NumberIn(absl::StrCat(cpu_, "/cpuacct.usage_user")));
      usage.system_cpu = absl::Nanoseconds(NumberIn(absl::StrCat(cpu_, "/cpuacct.usage_sys")));
    }
    usage.out_of_memory_kills =
        Field(ReadIfThere(absl::StrCat(memory_, "/memory.oom_control")), "oom_kill");
  }
  usage.refused_processes = Field(ReadIfThere(absl::StrCat(pids_, "/pids.events")), "max");
  return usage;
}

std::vector<CgroupHierarchy> ParseCgroupHierarchies(absl::string_view mountinfo,
                                                    absl::string_view self_cgroup) {
  std::vector<CgroupHierarchy> hierarchies;
  for (absl::string_view line : absl::StrSplit(mountinfo, '\n')) {
    const std::pair<absl::string_view, absl::string_view> halves =
        absl::StrSplit(line, absl::MaxSplits(" - ", 1));
    const std::vector<absl::string_view> mount = absl::StrSplit(halves.first, ' ');
    const std::vector<absl::string_view> super = absl::StrSplit(halves.second, ' ');
    if (mount.size() < 6 || super.size() < 3 || (super[0] != "cgroup" && super[0] != "cgroup2")) {
      continue;
    }
    CgroupHierarchy hierarchy;
    hierarchy.unified = super[0] == "cgroup2";
    hierarchy.mount_point = std::string(mount[4]);
    const std::vector<std::string> options = absl::StrSplit(super[2], ',');
    // "ID:controllers:path"; the unified one has ID 0 and names none.
    for (absl::string_view own : absl::StrSplit(self_cgroup, '\n')) {
      const std::vector<absl::string_view> fields = absl::StrSplit(own, absl::MaxSplits(':', 2));
      if (fields.size() != 3) continue;
      const std::vector<std::string> controllers =
          absl::StrSplit(fields[1], ',', absl::SkipEmpty());
      const bool is_this = hierarchy.unified
                               ? fields[0] == "0"
                               : !controllers.empty() && std::find(options.begin(), options.end(),
                                                                   controllers[0]) != options.end();
      if (!is_this) continue;
      absl::string_view path = fields[2];
      // A part of the hierarchy may be all that is mounted.
      if (mount[3] != "/" && !absl::ConsumePrefix(&path, mount[3])) path = "";
      if (path.find("/..") != absl::string_view::npos || path == "/") path = "";
      hierarchy.own = absl::StrCat(hierarchy.mount_point, path);
      if (!hierarchy.unified) hierarchy.controllers = controllers;
    }
    if (!hierarchy.own.empty()) hierarchies.push_back(std::move(hierarchy));
  }
  return hierarchies;
}

absl::Status CgroupTree::MakeUnified(const std::string& base, const NamespaceRoot& owner,
                                     const RunLimits& all_runs, bool limit_cpus) {
  std::vector<std::string> controllers = {"memory", "pids"};
  if (limit_cpus) controllers.emplace_back("cpu");
  const std::string enable = absl::StrCat("+", absl::StrJoin(controllers, " +"));
  if (!HasAll(ReadIfThere(absl::StrCat(base, "/cgroup.controllers")), controllers)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the unified hierarchy does not control ", absl::StrJoin(controllers, ", "), " in ", base));
  }
  const std::string ours = absl::StrCat(base, "/", kName);
  RETURN_IF_ERROR(MakeDirectory(ours));
  RETURN_IF_ERROR(GiveTo(owner, ours));
  RemoveLeftOvers(ours);
  const std::string own = absl::StrCat(ours, "/", getpid());
  const std::string runs = absl::StrCat(own, "/runs");
  const std::string self = absl::StrCat(own, "/backend");
  for (const std::string& directory : {own, runs, self}) RETURN_IF_ERROR(MakeDirectory(directory));
  // Groups hold either processes or groups with controllers.
  absl::Status status = Write(absl::StrCat(self, "/cgroup.procs"), absl::StrCat(getpid()));
  const std::string before = ReadIfThere(absl::StrCat(base, "/cgroup.subtree_control"));
  if (status.ok() && !HasAll(before, controllers)) {
    status = Write(absl::StrCat(base, "/cgroup.subtree_control"), enable);
  }
  for (const std::string& directory : {ours, own, runs}) {
    if (status.ok()) status = Write(absl::StrCat(directory, "/cgroup.subtree_control"), enable);
  }
  if (status.ok()) status = SetMemory(runs, true, all_runs.memory_bytes);
  if (status.ok()) status = SetCpus(runs, true, all_runs.cpus);
  // Runs are cloned into their groups; the kernel asks for the right to write where the two ways
  // part.
  for (const std::string& path : {own, absl::StrCat(own, "/cgroup.procs"), runs}) {
    if (status.ok()) status = GiveTo(owner, path);
  }
  if (!status.ok()) {
    // Back to where this process was, if it is allowed to.
    (void)Write(absl::StrCat(base, "/cgroup.procs"), absl::StrCat(getpid()));
    for (const std::string& directory : {self, runs, own}) rmdir(directory.c_str());
    return status;
  }
  unified_ = true;
  places_ = {{.controller = "", .directory = runs}};
  return absl::OkStatus();
}

absl::Status CgroupTree::MakeVersion1(const std::vector<CgroupHierarchy>& hierarchies,
                                      const NamespaceRoot& owner, const RunLimits& all_runs,
                                      bool limit_cpus) {
  std::vector<std::string> wanted = {"memory", "pids", "cpuacct"};
  // Entering a group of this one waits for the scheduler, several milliseconds.
  if (limit_cpus) wanted.emplace_back("cpu");
  for (const std::string& controller : wanted) {
    const auto found =
        std::find_if(hierarchies.begin(), hierarchies.end(), [&](const CgroupHierarchy& one) {
          return std::find(one.controllers.begin(), one.controllers.end(), controller) !=
                 one.controllers.end();
        });
    if (found == hierarchies.end()) {
      if (controller == "cpuacct") continue;
      return absl::FailedPreconditionError(absl::StrCat("no hierarchy controls ", controller));
    }
    const std::string ours = absl::StrCat(found->own, "/", kName);
    const std::string own = absl::StrCat(ours, "/", getpid());
    places_.push_back({.controller = controller, .directory = own});
    if (Exists(own)) continue;  // two controllers in one hierarchy
    RETURN_IF_ERROR(MakeDirectory(ours));
    RETURN_IF_ERROR(GiveTo(owner, ours));
    RemoveLeftOvers(ours);
    RETURN_IF_ERROR(MakeDirectory(own));
    if (controller == "memory") {
      RETURN_IF_ERROR(SetMemory(own, false, all_runs.memory_bytes));
    }
    RETURN_IF_ERROR(GiveTo(owner, own));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<CgroupTree>> CgroupTree::Create(const NamespaceRoot& owner,
                                                               const RunLimits& all_runs,
                                                               bool limit_cpus) {
  const std::vector<CgroupHierarchy> hierarchies =
      ParseCgroupHierarchies(ReadIfThere("/proc/self/mountinfo"), ReadIfThere("/proc/self/cgroup"));
  if (hierarchies.empty()) {
    return absl::FailedPreconditionError("no hierarchy of control groups is mounted");
  }
  std::unique_ptr<CgroupTree> tree(new CgroupTree);
  std::vector<std::string> reasons;
  for (const CgroupHierarchy& hierarchy : hierarchies) {
    if (!hierarchy.unified) continue;
    // Where this process is, if it is alone there; else above, up to where somebody may write and
    // the controllers are handed down.
    for (std::string base = hierarchy.own;; base = Parent(base)) {
      const absl::Status status = tree->MakeUnified(base, owner, all_runs, limit_cpus);
      if (status.ok()) return tree;
      if (base == hierarchy.own) reasons.emplace_back(status.message());
      if (base.size() <= hierarchy.mount_point.size()) break;
    }
  }
  const absl::Status status = tree->MakeVersion1(hierarchies, owner, all_runs, limit_cpus);
  if (status.ok()) return tree;
  reasons.emplace_back(status.message());
  return absl::FailedPreconditionError(absl::StrJoin(reasons, "; "));
}

CgroupTree::~CgroupTree() {
  for (const Place& place : places_) rmdir(place.directory.c_str());
}

absl::StatusOr<std::unique_ptr<RunCgroup>> CgroupTree::NewRun(const RunLimits& limits) {
  static std::atomic<int64_t> next = 1;
  const std::string name = absl::StrCat("/run-", next++);
  std::unique_ptr<RunCgroup> run(new RunCgroup);
  run->unified_ = unified_;
  for (const Place& place : places_) {
    const std::string directory = absl::StrCat(place.directory, name);
    if (std::find(run->directories_.begin(), run->directories_.end(), directory) ==
        run->directories_.end()) {
      RETURN_IF_ERROR(MakeDirectory(directory));
      run->directories_.push_back(directory);
      if (!unified_) run->task_files_.push_back(absl::StrCat(directory, "/tasks"));
    }
    if (unified_ || place.controller == "memory") {
      run->memory_ = directory;
      RETURN_IF_ERROR(SetMemory(directory, unified_, limits.memory_bytes));
    }
    if (unified_ || place.controller == "pids") {
      run->pids_ = directory;
      RETURN_IF_ERROR(SetProcesses(directory, limits.processes));
    }
    if (unified_ || place.controller == "cpuacct") run->cpu_ = directory;
    if (unified_ || place.controller == "cpu") {
      RETURN_IF_ERROR(SetCpus(directory, unified_, limits.cpus));
    }
  }
  if (unified_) {
    run->clone_fd_.Reset(open(run->memory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!run->clone_fd_.is_open()) return absl::ErrnoToStatus(errno, run->memory_);
  }
  return run;
}

}  // namespace contree
