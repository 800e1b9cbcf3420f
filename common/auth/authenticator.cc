#include "common/auth/authenticator.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace contree {

absl::Status NotAuthenticated() {
  return absl::UnauthenticatedError("a valid bearer token is required");
}

absl::Status ScopeMissing(Scope scope) {
  return absl::PermissionDeniedError(
      absl::StrCat("the token lacks the scope ", ScopeName(scope), "; ask for one that has it"));
}

absl::string_view BearerTokenOf(absl::string_view authorization) {
  constexpr absl::string_view kScheme = "bearer ";
  if (!absl::StartsWithIgnoreCase(authorization, kScheme)) return "";
  return absl::StripAsciiWhitespace(authorization.substr(kScheme.size()));
}

}  // namespace contree
