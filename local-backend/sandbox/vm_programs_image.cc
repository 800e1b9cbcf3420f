#include "local-backend/sandbox/vm_programs_image.h"

#include "local-backend/sandbox/program_file.h"

// Made by the linker from the files vm_agent and vm_relay.
extern "C" const char _binary_vm_agent_start[];  // NOLINT(bugprone-reserved-identifier)
extern "C" const char _binary_vm_agent_end[];    // NOLINT(bugprone-reserved-identifier)
extern "C" const char _binary_vm_relay_start[];  // NOLINT(bugprone-reserved-identifier)
extern "C" const char _binary_vm_relay_end[];    // NOLINT(bugprone-reserved-identifier)

namespace contree {

absl::string_view VmAgentBytes() {
  return {_binary_vm_agent_start,
          static_cast<size_t>(_binary_vm_agent_end - _binary_vm_agent_start)};
}

absl::StatusOr<UniqueFd> MakeVmRelayFile() {
  return MakeProgramFile(
      "vm_relay",
      {_binary_vm_relay_start, static_cast<size_t>(_binary_vm_relay_end - _binary_vm_relay_start)});
}

}  // namespace contree
