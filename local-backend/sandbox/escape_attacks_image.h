#ifndef LOCAL_BACKEND_SANDBOX_ESCAPE_ATTACKS_IMAGE_H_
#define LOCAL_BACKEND_SANDBOX_ESCAPE_ATTACKS_IMAGE_H_

#include "absl/strings/string_view.h"

namespace contree {

// The program escape_attacks, which the test carries.
absl::string_view EscapeAttacksBytes();

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_ESCAPE_ATTACKS_IMAGE_H_
