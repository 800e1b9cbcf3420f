#include "local-backend/sandbox/network_stack_image.h"

#include "absl/strings/string_view.h"
#include "local-backend/sandbox/program_file.h"

// Made by the linker from the file network_stack.
extern "C" const char _binary_network_stack_start[];  // NOLINT(bugprone-reserved-identifier)
extern "C" const char _binary_network_stack_end[];    // NOLINT(bugprone-reserved-identifier)

namespace contree {

absl::StatusOr<UniqueFd> MakeNetworkStackFile() {
  return MakeProgramFile("network_stack",
                         absl::string_view(_binary_network_stack_start,
                                           static_cast<size_t>(_binary_network_stack_end -
                                                               _binary_network_stack_start)));
}

}  // namespace contree
