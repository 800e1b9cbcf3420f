#include "standalone/doctor/isolation_checks.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
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
#include "common/status/status_macros.h"
#include "local-backend/sandbox/guest_kernel.h"
#include "local-backend/sandbox/microvm.h"
#include "local-backend/sandbox/network_uplink.h"
#include "local-backend/sandbox/run_cgroups.h"
#include "local-backend/sandbox/seccomp_filter.h"
#include "local-backend/sandbox/tun_device.h"
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

constexpr char kCannotBeIsolated[] = "commands cannot be isolated: ";

// "commands cannot be isolated: WHAT; REMEDY", as the backend says it.
Check FailedAsTheBackendSays(const std::string& name, absl::string_view message) {
  absl::ConsumePrefix(&message, kCannotBeIsolated);
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
  // The child may be moved into a group of its own; where it ended up it writes here.
  void* shared =
      mmap(nullptr, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int* const version = shared == MAP_FAILED ? nullptr : static_cast<int*>(shared);
  const absl::Cleanup unmap = [version] {
    if (version != nullptr) munmap(version, sizeof *version);
  };
  const absl::Status status = TryInChild(
      [version]() -> absl::Status {
        ASSIGN_OR_RETURN(const NamespaceRoot root, RootOutside());
        ASSIGN_OR_RETURN(const std::unique_ptr<CgroupTree> tree,
                         CgroupTree::Create(root, RunLimits{}, /*limit_cpus=*/false));
        RETURN_IF_ERROR(
            tree->NewRun({.memory_bytes = 64 << 20, .processes = 64, .cpus = 0}).status());
        if (version != nullptr) *version = tree->version();
        return absl::OkStatus();
      },
      kTrialTimeout);
  if (status.ok()) {
    return {.name = name,
            .detail = absl::StrCat("version ", version == nullptr ? 0 : *version,
                                   " holds each run to its memory and processes")};
  }
  return {
      .name = name,
      .state = State::kWarning,
      .detail = absl::StrCat("none for runs, so rlimits bound the memory of each process only: ",
                             status.message()),
      .remedy = kDelegate};
}

Check CheckNetwork() {
  const std::string name = "network";
  std::string directory =
      absl::StrCat(std::filesystem::temp_directory_path().string(), "/contree-doctor-XXXXXX");
  if (mkdtemp(directory.data()) == nullptr) {
    return {.name = name,
            .state = State::kWarning,
            .detail = absl::StrCat("cannot make ", directory, ": ", strerror(errno))};
  }
  const absl::Cleanup remove = [&directory] { rmdir(directory.c_str()); };
  const absl::Status status = TryInChild(
      [&directory]() -> absl::Status {
        RETURN_IF_ERROR(MakeTunDeviceReachable());
        RETURN_IF_ERROR(EnterPrivateNamespaces(directory).status());
        return NetworkStackProgram::Create().status();
      },
      kTrialTimeout);
  if (status.ok()) return {.name = name, .detail = "sandboxes that ask for one have one (IPv4)"};
  std::string remedy = "see what fails above";
  if (absl::StrContains(status.message(), "/dev/net/tun")) {
    remedy = access("/dev/net/tun", F_OK) != 0
                 ? "sudo modprobe tun (a container: --device /dev/net/tun)"
                 : "sudo chmod 666 /dev/net/tun";
  } else if (absl::StrContains(status.message(), "libslirp")) {
    remedy = "sudo apt-get install libslirp0";
  }
  return {.name = name,
          .state = State::kWarning,
          .detail = absl::StrCat("sandboxes have loopback only: ", status.message()),
          .remedy = remedy};
}

Check CheckVirtualMachines(const std::string& kernel_path) {
  const std::string name = "virtual machines";
  const absl::StatusOr<std::string> qemu = FindQemu(MicrovmOptions{}.qemu);
  const absl::StatusOr<std::string> virtiofsd = FindVirtiofsd("");
  const absl::StatusOr<std::string> kernel = FindGuestKernel(kernel_path);
  if (qemu.ok() && virtiofsd.ok() && kernel.ok()) {
    return {.name = name, .detail = absl::StrCat(*qemu, ", ", *virtiofsd, ", ", *kernel)};
  }
  const absl::Status& status = !qemu.ok()        ? qemu.status()
                               : !virtiofsd.ok() ? virtiofsd.status()
                                                 : kernel.status();
  return {.name = name,
          .state = State::kFailed,
          .detail = std::string(absl::StripPrefix(status.message(), kCannotBeIsolated)),
          .remedy = !kernel_path.empty() && !kernel.ok()
                        ? "give --vm-kernel a bzImage that this user may read"
                    : kernel.ok() ? "sudo apt-get install --no-install-recommends qemu-system-x86"
                                  : "sudo apt-get install --no-install-recommends qemu-system-x86 "
                                    "linux-image-cloud-amd64"};
}

Check CheckKvm() {
  const std::string name = "kvm";
  constexpr char kDevice[] = "/dev/kvm";
  if (access(kDevice, R_OK | W_OK) == 0) {
    return {.name = name,
            .detail =
                "/dev/kvm opens; where no virtual machine starts with it in 10 s, software "
                "emulation is used, and the backend's log says so"};
  }
  const bool is_there = access(kDevice, F_OK) == 0;
  return {
      .name = name,
      .state = State::kWarning,
      .detail = absl::StrCat(is_there ? "/dev/kvm is not for this user" : "there is no /dev/kvm",
                             ": software emulation, seconds for each command"),
      .remedy = is_there ? "sudo usermod --append --groups kvm $USER, and log in again"
                         : "a machine with KVM, or a guest of one that passes it on"};
}

}  // namespace contree::standalone
