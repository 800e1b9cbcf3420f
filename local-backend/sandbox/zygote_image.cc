#include "local-backend/sandbox/zygote_image.h"

#include "absl/strings/string_view.h"
#include "local-backend/sandbox/program_file.h"

// Made by the linker from the file zygote_program.
extern "C" const char _binary_zygote_program_start[];  // NOLINT(bugprone-reserved-identifier)
extern "C" const char _binary_zygote_program_end[];    // NOLINT(bugprone-reserved-identifier)

namespace contree {

absl::StatusOr<UniqueFd> MakeZygoteFile() {
  return MakeProgramFile("zygote",
                         absl::string_view(_binary_zygote_program_start,
                                           static_cast<size_t>(_binary_zygote_program_end -
                                                               _binary_zygote_program_start)));
}

}  // namespace contree
