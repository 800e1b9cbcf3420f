#include "local-backend/sandbox/microvm.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <iterator>
#include <thread>

#ifdef __x86_64__
#include <x86intrin.h>
#endif

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "local-backend/sandbox/bubblewrap.h"
#include "local-backend/sandbox/vm_link_protocol.h"

namespace contree {
namespace {

constexpr int64_t kMegabyte = int64_t{1} << 20;
// Of the guest's memory, what its kernel, its first file system and our agent take.
constexpr int64_t kGuestOverhead = 128 * kMegabyte;
// A page's record takes 64 bytes of each 4096.
constexpr int64_t kBytesPerRecordedByte = 64;
constexpr int64_t kTranslatedCode = 128 * kMegabyte;
// QEMU, virtiofsd and the relay themselves.
constexpr int64_t kHostOverhead = 256 * kMegabyte + kTranslatedCode;
constexpr int64_t kHostProcesses = 128;
// Without a bound of the run's. Each processor more makes the start longer.
constexpr int kDefaultProcessors = 8;
constexpr int64_t kDefaultMemory = 1024 * kMegabyte;

// A host that is itself a guest may show the register of that name and refuse to set it. It says
// against which faults of the processor a kernel need not guard, and ours guards against none.
constexpr char kKvmProcessor[] = "host,-arch-capabilities";

// For virtiofsd, which makes files of any owner, and for the relay, which makes QEMU nobody's.
constexpr const char* kCapabilities[] = {
    "CAP_CHOWN",  "CAP_DAC_OVERRIDE", "CAP_FOWNER",  "CAP_FSETID", "CAP_KILL",       "CAP_MKNOD",
    "CAP_SETGID", "CAP_SETFCAP",      "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
};

int64_t RunMemory(const RunLimits& limits) {
  return limits.memory_bytes > 0 ? limits.memory_bytes : kDefaultMemory;
}

int64_t GuestMegabytes(const RunLimits& limits) {
  const int64_t run = RunMemory(limits);
  return (run + run / kBytesPerRecordedByte + kGuestOverhead + kMegabyte - 1) / kMegabyte;
}

int Processors(const RunLimits& limits) {
  const int here = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  if (limits.cpus <= 0) return std::min(here, kDefaultProcessors);
  return std::clamp(static_cast<int>(std::ceil(limits.cpus)), 1, here);
}

std::string KernelCommandLine(const MicrovmCommandOptions& options) {
  // A panic is an end with a reason. The rest leaves out what costs time to find out or to guard
  // against: nothing in the guest is to be guarded against anything else in there.
  std::string line = absl::StrCat(
      "console=ttyS0 quiet panic=-1 reboot=t 8250.nr_uarts=1 nokaslr mitigations=off audit=0 "
      "cryptomgr.notests random.trust_cpu=on rcupdate.rcu_expedited=1");
  if (options.accelerator == VmAccelerator::kSoftware) {
    absl::StrAppend(&line, " no_timer_check tsc_early_khz=", options.processor_kilohertz);
  }
  absl::StrAppend(&line, " contree.mark=", options.mark);
  return line;
}

}  // namespace

const char* VmAcceleratorName(VmAccelerator accelerator) {
  return accelerator == VmAccelerator::kKvm ? "KVM" : "software emulation (TCG)";
}

std::vector<std::string> MicrovmCommand(const MicrovmCommandOptions& options) {
  std::vector<std::string> command = {options.bubblewrap};
  const auto add = [&command](std::initializer_list<std::string> words) {
    command.insert(command.end(), words);
  };
  // The relay is process 1: its end is told when the kernel has ended all that it started.
  add({"--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
       "--die-with-parent", "--new-session", "--as-pid-1", "--clearenv", "--cap-drop", "ALL"});
  for (const char* capability : kCapabilities) add({"--cap-add", capability});
  // Parents that bubblewrap makes by itself are for root only.
  add({"--tmpfs",   "/",          "--dir",    "/usr",          "--dir",           "/usr/share",
       "--ro-bind", options.qemu, "/qemu",    "--ro-bind",     options.virtiofsd, "/virtiofsd",
       "--ro-bind", "/usr/lib",   "/usr/lib", "--ro-bind-try", "/usr/lib64",      "/usr/lib64",
       "--symlink", "usr/lib",    "/lib",     "--symlink",     "usr/lib64",       "/lib64"});
  // QEMU's firmware.
  for (const char* directory : {"/usr/share/qemu", "/usr/share/seabios"}) {
    add({"--ro-bind-try", directory, directory});
  }
  add({"--bind", options.root, "/image", "--proc", "/proc", "--dev", "/dev"});
  if (options.accelerator == VmAccelerator::kKvm) add({"--dev-bind", "/dev/kvm", "/dev/kvm"});
  add({"--dir", "/run", "--perms", "1777", "--dir", "/tmp", "--chdir", "/", "--"});
  add({absl::StrCat("/proc/self/fd/", options.relay_fd), options.hostname,
       absl::StrCat(RunMemory(options.limits)), absl::StrCat(options.limits.processes)});
  // Nobody else changes the files meanwhile: what the guest knows stays true. What it writes is
  // written through, so that nothing is lost when it is killed.
  add({"--", "/virtiofsd", "-f", absl::StrCat("--fd=", kVmFilesFd), "--rlimit-nofile=0", "-o",
       "source=/image,sandbox=chroot,cache=always,xattr,no_writeback,log_level=err"});
  // The clock is there because kernels wait for one that is not, a second each time they ask.
  const std::string memory = absl::StrCat(GuestMegabytes(options.limits), "M");
  const bool is_kvm = options.accelerator == VmAccelerator::kKvm;
  add({"--", "/qemu", "-L", "/usr/share/qemu", "-sandbox",
       "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny", "-M",
       "microvm,memory-backend=memory,rtc=on,isa-serial=on,auto-kernel-cmdline=off", "-global",
       "virtio-mmio.force-legacy=false", "-nodefaults", "-no-user-config", "-no-reboot", "-display",
       "none", "-accel", is_kvm ? "kvm" : absl::StrCat("tcg,tb-size=", kTranslatedCode / kMegabyte),
       "-cpu", is_kvm ? kKvmProcessor : "max", "-smp", absl::StrCat(Processors(options.limits)),
       "-m", memory,
       // virtiofsd reads requests from it, and writes what was asked for into it.
       "-object", absl::StrCat("memory-backend-memfd,id=memory,share=on,size=", memory), "-serial",
       "stdio", "-chardev", absl::StrCat("socket,id=files,fd=", kVmFilesFd), "-device",
       "vhost-user-fs-device,chardev=files,tag=root", "-device", "virtio-serial-device,max_ports=2",
       "-chardev", absl::StrCat("socket,id=agent,fd=", kVmSerialFd), "-device",
       "virtserialport,chardev=agent", "-kernel", absl::StrCat("/proc/self/fd/", options.kernel_fd),
       "-initrd", absl::StrCat("/proc/self/fd/", options.initrd_fd), "-append",
       KernelCommandLine(options)});
  return command;
}

RunLimits MicrovmCgroupLimits(const RunLimits& run) {
  return {.memory_bytes = GuestMegabytes(run) * kMegabyte + kHostOverhead,
          .processes = kHostProcesses + Processors(run),
          .cpus = run.cpus};
}

absl::StatusOr<std::string> FindQemu(const std::string& name) {
  return FindIsolationProgram(name, "qemu-system-x86");
}

absl::StatusOr<std::string> FindVirtiofsd(const std::string& path) {
  if (!path.empty()) return FindIsolationProgram(path, "qemu-system-common");
  // Debian 12 has QEMU's own; later ones have the program of that name elsewhere.
  for (const char* place : {"/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd"}) {
    if (access(place, X_OK) == 0) return std::string(place);
  }
  return FindIsolationProgram("/usr/lib/qemu/virtiofsd", "qemu-system-common");
}

int64_t MeasureProcessorKilohertz() {
#ifdef __x86_64__
  constexpr absl::Duration kLongEnough = absl::Milliseconds(20);
  const absl::Time began = absl::Now();
  const uint64_t first = __rdtsc();
  absl::SleepFor(kLongEnough);
  const uint64_t last = __rdtsc();
  const absl::Duration took = absl::Now() - began;
  return static_cast<int64_t>(static_cast<double>(last - first) / absl::ToDoubleMilliseconds(took));
#else
  return 0;
#endif
}

}  // namespace contree
