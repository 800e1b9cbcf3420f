#ifndef STANDALONE_AUTH_INI_H_
#define STANDALONE_AUTH_INI_H_

// Writing the vendor's auth.ini, which its other tools read too. What is not changed keeps its
// bytes: other profiles, comments, keys that are not ours.

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "standalone/options.h"

namespace contree::standalone {

// Whether a token may stand in an Authorization header and in the file as it is (RFC 6750's
// b64token).
bool IsBearerToken(absl::string_view token);

// Whether a profile may be called so: letters, digits, '-', '_' and '.'.
bool IsProfileName(absl::string_view name);

// The file's text with the profile in [profile:NAME], of type iam if it has a project, else jwt,
// and as the active one. InvalidArgument: a line belongs to no section; it is named.
absl::StatusOr<std::string> WithProfile(absl::string_view text, const std::string& name,
                                        const Profile& profile);

}  // namespace contree::standalone

#endif  // STANDALONE_AUTH_INI_H_
