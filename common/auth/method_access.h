#ifndef COMMON_AUTH_METHOD_ACCESS_H_
#define COMMON_AUTH_METHOD_ACCESS_H_

// What a caller needs for a gRPC method.

#include <optional>

#include "absl/strings/string_view.h"
#include "common/auth/identity.h"

namespace contree {

// The scope that "/package.Service/Method" needs; nullopt: not even a token (health). A method that
// is not known here needs Scope::kRun, so a new one is not open by mistake.
std::optional<Scope> ScopeOfMethod(absl::string_view path);

}  // namespace contree

#endif  // COMMON_AUTH_METHOD_ACCESS_H_
