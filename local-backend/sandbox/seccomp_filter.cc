#include "local-backend/sandbox/seccomp_filter.h"

#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cerrno>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace contree {
namespace {

constexpr const char* kDenied[] = {
    "acct",
    "add_key",
    "bpf",
    "clock_adjtime",
    "clock_adjtime64",
    "clock_settime",
    "clock_settime64",
    "create_module",
    "delete_module",
    "fanotify_init",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "get_kernel_syms",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "mbind",
    "migrate_pages",
    "mount",
    "mount_setattr",
    "move_mount",
    "move_pages",
    "name_to_handle_at",
    "nfsservctl",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "pivot_root",
    "pidfd_getfd",
    "process_madvise",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "query_module",
    "quotactl",
    "quotactl_fd",
    "reboot",
    "request_key",
    "set_mempolicy",
    "setns",
    "settimeofday",
    "stime",
    "swapoff",
    "swapon",
    "syslog",
    "umount",
    "umount2",
    "unshare",
    "uselib",
    "userfaultfd",
    "vhangup",
    "vm86",
    "vm86old",
};

constexpr uint64_t kNamespaceFlags = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                     CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

absl::Status Failed(const char* what, int result) {
  return absl::FailedPreconditionError(absl::StrCat(
      "the seccomp filter cannot be made, at ", what, ": ",
      absl::ErrnoToStatus(-result, "").message(), "; libseccomp 2.5 or later is needed"));
}

}  // namespace

absl::StatusOr<UniqueFd> MakeSeccompFilter() {
  const scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
  if (filter == nullptr) return Failed("init", -ENOMEM);
  const absl::Cleanup release = [filter] { seccomp_release(filter); };
  int result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);  // a tree instead of a list
  if (result != 0) return Failed("optimize", result);
#if defined(__x86_64__)
  // 32-bit programs run too, under the same rules; without this they would be killed.
  result = seccomp_arch_add(filter, SCMP_ARCH_X86);
  if (result != 0 && result != -EEXIST) return Failed("32-bit rules", result);
#endif
  for (const char* name : kDenied) {
    const int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR) continue;  // not on this machine
    result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), number, 0);
    if (result != 0) return Failed(name, result);
  }
  result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
  if (result != 0) return Failed("clone3", result);
  for (uint64_t flag = 1; flag <= kNamespaceFlags; flag <<= 1) {
    if ((kNamespaceFlags & flag) == 0) continue;
    result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, flag, flag));
    if (result != 0) return Failed("clone", result);
  }
  // Typing into a terminal that a command inherited would run as its owner.
  for (const uint64_t request : {TIOCSTI, TIOCLINUX}) {
    result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
                              SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffU, request));
    if (result != 0) return Failed("ioctl", result);
  }
  // Sockets of local, IP and netlink families only: others reach parts of the kernel that are not
  // separate for each network namespace (vsock: the host of a virtual machine) or rarely tested.
  std::vector<scmp_arg_cmp> families = {SCMP_A0(SCMP_CMP_GT, AF_NETLINK)};
  for (unsigned family = 0; family < AF_NETLINK; ++family) {
    if (family == AF_UNIX || family == AF_INET || family == AF_INET6) continue;
    families.push_back(SCMP_A0(SCMP_CMP_EQ, family));
  }
  for (const scmp_arg_cmp& family : families) {
    result =
        seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1, &family);
    if (result != 0) return Failed("socket", result);
  }
  // The families of this old way to make sockets cannot be seen; C libraries then take the new way.
  result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(socketcall), 0);
  if (result != 0) return Failed("socketcall", result);
  UniqueFd file(memfd_create("seccomp", MFD_CLOEXEC));
  if (!file.is_open()) return Failed("memfd_create", -errno);
  result = seccomp_export_bpf(filter, file.get());
  if (result != 0) return Failed("export", result);
  return file;
}

}  // namespace contree
