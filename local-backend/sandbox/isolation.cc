#include "local-backend/sandbox/isolation.h"

#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/status/status_macros.h"
#include "common/telemetry/logging.h"
#include "common/uuid/uuid.h"
#include "local-backend/sandbox/isolation_probe.h"
#include "local-backend/sandbox/kvm_device.h"
#include "local-backend/sandbox/microvm.h"

namespace contree {
namespace {

// A guest starts with KVM in about a second, or, where a /dev/kvm is of no use, never.
constexpr absl::Duration kKvmStartLimit = absl::Seconds(10);
constexpr absl::Duration kEmulationStartLimit = absl::Seconds(60);

// Where the launchers of a backend are tried out.
struct Place {
  const std::string& directory;
  const std::string& empty_directory;
};

absl::StatusOr<Isolation> TryNamespaces(const SandboxLauncher::Options& options,
                                        const Place& place) {
  Isolation isolation = {.launcher = nullptr,
                         .description = "namespaces: user namespace, bubblewrap, seccomp"};
  ASSIGN_OR_RETURN(isolation.launcher, SandboxLauncher::Create(options));
  RETURN_IF_ERROR(ProbeIsolation(*isolation.launcher, place.directory, place.empty_directory));
  return isolation;
}

absl::StatusOr<Isolation> TryGvisor(const std::string& runsc, SandboxLauncher::Options options,
                                    const Place& place) {
  options.runsc = runsc;
  options.skeleton = absl::StrCat(place.directory, "/gvisor");
  Isolation isolation = {.launcher = nullptr,
                         .description = "gvisor: runsc in user namespace and bubblewrap"};
  ASSIGN_OR_RETURN(isolation.launcher, SandboxLauncher::Create(options));
  RETURN_IF_ERROR(ProbeGvisor(*isolation.launcher, place.directory, place.empty_directory));
  return isolation;
}

absl::StatusOr<Isolation> TryMicrovm(const IsolationOptions& chosen, VmAccelerator accelerator,
                                     SandboxLauncher::Options options, const Place& place) {
  const std::string mark = NewUuidV4();
  options.microvm = {
      .qemu = chosen.qemu,
      .kernel = {.kernel = chosen.vm_kernel, .modules = chosen.vm_modules},
      .accelerator = accelerator,
      .mark = mark,
      .start_limit = accelerator == VmAccelerator::kKvm ? kKvmStartLimit : kEmulationStartLimit};
  Isolation isolation = {
      .launcher = nullptr,
      .description = absl::StrCat("microvm: QEMU with ", VmAcceleratorName(accelerator),
                                  " in user namespace and bubblewrap")};
  ASSIGN_OR_RETURN(isolation.launcher, SandboxLauncher::Create(options));
  RETURN_IF_ERROR(ProbeMicrovm(*isolation.launcher, place.directory, place.empty_directory, mark));
  return isolation;
}

absl::StatusOr<Isolation> TryMicrovmWithKvm(const IsolationOptions& chosen,
                                            const absl::Status& devices,
                                            const SandboxLauncher::Options& options,
                                            const Place& place) {
  RETURN_IF_ERROR(devices);
  if (access("/dev/kvm", R_OK | W_OK) != 0) {
    return absl::FailedPreconditionError("/dev/kvm is not there, or not for this user");
  }
  return TryMicrovm(chosen, VmAccelerator::kKvm, options, place);
}

absl::StatusOr<Isolation> ChooseMicrovm(const IsolationOptions& chosen, const absl::Status& devices,
                                        const SandboxLauncher::Options& options,
                                        const Place& place) {
  std::string why = "--vm-accelerator=software";
  if (chosen.vm_accelerator != "software") {
    absl::StatusOr<Isolation> with_kvm = TryMicrovmWithKvm(chosen, devices, options, place);
    if (with_kvm.ok()) return with_kvm;
    if (chosen.vm_accelerator == "kvm") {
      return absl::FailedPreconditionError(
          absl::StrCat("--vm-accelerator=kvm: ", with_kvm.status().message()));
    }
    why = absl::StrCat("no KVM: ", with_kvm.status().message());
  }
  ASSIGN_OR_RETURN(Isolation isolation,
                   TryMicrovm(chosen, VmAccelerator::kSoftware, options, place));
  LogWarning("virtual machines run in software emulation: each command takes seconds to start",
             {{"why", why}});
  absl::StrAppend(&isolation.description, " (", why, ")");
  return isolation;
}

}  // namespace

absl::Status CheckIsolationOptions(const IsolationOptions& options) {
  if (options.tier == "namespaces" || options.tier == "gvisor" || options.tier == "microvm") {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("--isolation \"", options.tier,
                                                 "\" is neither namespaces nor gvisor nor "
                                                 "microvm"));
}

absl::Status MakeIsolationDevicesReachable(const IsolationOptions& options,
                                           const std::string& directory) {
  if (options.tier != "microvm" || options.vm_accelerator == "software") return absl::OkStatus();
  return MakeKvmDeviceReachable(directory);
}

absl::StatusOr<Isolation> MakeIsolation(const IsolationOptions& options,
                                        const absl::Status& devices,
                                        SandboxLauncher::Options launcher,
                                        const std::string& directory,
                                        const std::string& empty_directory) {
  launcher.bubblewrap = options.bubblewrap;
  const Place place = {.directory = directory, .empty_directory = empty_directory};
  if (options.tier == "microvm") return ChooseMicrovm(options, devices, launcher, place);
  if (options.tier == "gvisor") return TryGvisor(options.runsc, launcher, place);
  return TryNamespaces(launcher, place);
}

}  // namespace contree
