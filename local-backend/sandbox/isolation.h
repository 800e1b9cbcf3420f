#ifndef LOCAL_BACKEND_SANDBOX_ISOLATION_H_
#define LOCAL_BACKEND_SANDBOX_ISOLATION_H_

// Which tier a backend isolates its commands by: chosen by name, tried out at the start, and
// nothing else is done instead.

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "local-backend/sandbox/sandbox.h"

namespace contree {

struct IsolationOptions {
  // "namespaces": this machine's kernel, namespaces and a filter of system calls; "gvisor":
  // gVisor's kernel inside namespaces, without a network; "microvm": a virtual machine with a
  // kernel of its own, without a network.
  std::string tier = "namespaces";
  std::string bubblewrap = "bwrap";  // a path, or a name that is looked up on the PATH
  std::string runsc = "runsc";       // the same; of "gvisor"
  // Of "microvm": QEMU, the same; the kernel, empty: the newest /boot/vmlinuz-*; the directory of
  // its modules, empty: the one in /lib/modules; who executes its instructions: "kvm", "software",
  // or "auto": KVM where a guest really starts with it.
  std::string qemu = "qemu-system-x86_64";
  std::string vm_kernel;
  std::string vm_modules;
  std::string vm_accelerator = "auto";

  bool has_network() const { return tier == "namespaces"; }
};

// InvalidArgument: there is no such tier.
absl::Status CheckIsolationOptions(const IsolationOptions& options);

// What has to be done before the user namespace is entered, with one thread, for a machine's device
// to be within reach of that namespace. `directory`: an existing one. The status is for
// MakeIsolation, which says it where the device is needed.
absl::Status MakeIsolationDevicesReachable(const IsolationOptions& options,
                                           const std::string& directory);

// A launcher that was tried out, and what it isolates by, for people.
struct Isolation {
  std::unique_ptr<SandboxLauncher> launcher;
  std::string description;
};

// `devices`: what MakeIsolationDevicesReachable said. `launcher`: without what the tier decides.
// `directory`: of the backend. FailedPrecondition: commands cannot be isolated as is asked for; the
// message says why.
absl::StatusOr<Isolation> MakeIsolation(const IsolationOptions& options,
                                        const absl::Status& devices,
                                        SandboxLauncher::Options launcher,
                                        const std::string& directory,
                                        const std::string& empty_directory);

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_ISOLATION_H_
