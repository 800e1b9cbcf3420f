#include "local-backend/sandbox/escape_attacks_image.h"

#include <cstddef>

// Made by the linker from the file escape_attacks.
extern "C" const char _binary_escape_attacks_start[];  // NOLINT(bugprone-reserved-identifier)
extern "C" const char _binary_escape_attacks_end[];    // NOLINT(bugprone-reserved-identifier)

namespace contree {

absl::string_view EscapeAttacksBytes() {
  return {_binary_escape_attacks_start,
          static_cast<size_t>(_binary_escape_attacks_end - _binary_escape_attacks_start)};
}

}  // namespace contree
