#include "local-backend/sandbox/sandbox_init_image.h"

#include "local-backend/sandbox/program_file.h"

// Made by the linker from the file sandbox_init.
extern "C" const char _binary_sandbox_init_start[];  // NOLINT(bugprone-reserved-identifier)
extern "C" const char _binary_sandbox_init_end[];    // NOLINT(bugprone-reserved-identifier)

namespace contree {

absl::string_view SandboxInitBytes() {
  return {_binary_sandbox_init_start,
          static_cast<size_t>(_binary_sandbox_init_end - _binary_sandbox_init_start)};
}

absl::StatusOr<UniqueFd> MakeSandboxInitFile() {
  return MakeProgramFile("sandbox_init", SandboxInitBytes());
}

}  // namespace contree
