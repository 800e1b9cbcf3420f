#ifndef STANDALONE_PLATFORM_CHECK_H_
#define STANDALONE_PLATFORM_CHECK_H_

// Asks a ConTree API, or an installation of these services elsewhere, who it takes us for: whether
// it is there, whether it knows the token, and what it thinks the time is.

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "contree-service/api_endpoint.h"
#include "standalone/remote_channel.h"

namespace contree::standalone {

struct PlatformAnswer {
  std::map<std::string, bool> permissions;
  std::map<std::string, int64_t> operations;  // what runs, by the platform's own names
  std::optional<absl::Time> platform_time;    // by its header Date
  absl::Time asked_at;
  absl::Duration took;
};

// Unauthenticated, PermissionDenied: the token was refused. Unavailable, DeadlineExceeded: nobody
// answers there. InvalidArgument: the base URL is none. PermissionDenied as well: the token would
// travel unencrypted to another machine. Messages never hold the token.
absl::StatusOr<PlatformAnswer> AskPlatform(const ApiEndpoint& endpoint, absl::Duration timeout);

// The same of the contree-service behind contree-mcp --remote, whose time is not known. The errors
// are ConnectToRemote's and the service's own; what the service uses may be what does not answer.
absl::StatusOr<PlatformAnswer> AskRemote(const RemoteOptions& options, absl::Duration timeout);

}  // namespace contree::standalone

#endif  // STANDALONE_PLATFORM_CHECK_H_
