#ifndef LOCAL_BACKEND_SANDBOX_MICROVM_H_
#define LOCAL_BACKEND_SANDBOX_MICROVM_H_

// The tier --isolation=microvm: each sandbox is a virtual machine of QEMU's with a Linux kernel of
// its own. QEMU itself runs in namespaces made by bubblewrap, with the image of the run and nothing
// else of this machine but its programs and libraries. The guest gets its files from virtiofsd,
// which shares the run's overlay; process 1 in the namespaces is our relay (vm_relay.cc), process 1
// in the guest our agent (vm_agent.cc), and inside of that runs the same init as in the default
// tier. Thread-safe.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "local-backend/sandbox/guest_kernel.h"
#include "local-backend/sandbox/run_cgroups.h"

namespace contree {

// Who executes the guest's instructions: this machine's processor, or QEMU (TCG), many times
// slower.
enum class VmAccelerator { kKvm, kSoftware };

// "KVM" or "software emulation (TCG)".
const char* VmAcceleratorName(VmAccelerator accelerator);

struct MicrovmOptions {
  std::string qemu = "qemu-system-x86_64";  // a path, or a name on the PATH
  std::string virtiofsd = {};               // a path; empty: where Debian has it
  GuestKernelOptions kernel = {};
  VmAccelerator accelerator = VmAccelerator::kSoftware;
  // Is on the kernel's command line, so that a guest can be told from another: no blanks.
  std::string mark = {};
  // How long a guest may take to start.
  absl::Duration start_limit = absl::Seconds(60);
};

struct MicrovmCommandOptions {
  std::string bubblewrap;  // absolute paths
  std::string qemu = {};
  std::string virtiofsd = {};
  std::string root = {};  // the directory that becomes / of the command
  std::string hostname = {};
  VmAccelerator accelerator = VmAccelerator::kSoftware;
  RunLimits limits = {};
  int64_t processor_kilohertz = 0;  // of the time stamp counter
  std::string mark = {};
  int relay_fd = -1;  // inherited: the program that becomes process 1,
  int kernel_fd = -1;
  int initrd_fd = -1;
};

// Its stdin must be the relay's socket to us.
std::vector<std::string> MicrovmCommand(const MicrovmCommandOptions& options);

// What QEMU, virtiofsd and the guest's kernel need beside what a run may take.
RunLimits MicrovmCgroupLimits(const RunLimits& run);

// The absolute paths. FailedPrecondition: it is not there; the message says what to install.
absl::StatusOr<std::string> FindQemu(const std::string& name);
absl::StatusOr<std::string> FindVirtiofsd(const std::string& path);

// How fast the processor's time stamp counter goes, which a guest cannot measure reliably when
// others take the processor meanwhile. Takes 20 ms.
int64_t MeasureProcessorKilohertz();

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_MICROVM_H_
