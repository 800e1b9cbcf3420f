#ifndef COMMON_SERVER_LISTEN_ADDRESS_H_
#define COMMON_SERVER_LISTEN_ADDRESS_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace contree {

// Where a server listens.
struct ListenAddress {
  std::string host;  // an address or a name, an IPv6 address without its brackets
  int port = 0;      // 0: a free one
};

// Reads "HOST:PORT" ("127.0.0.1:0", "localhost:9452", "[::1]:80").
// InvalidArgument: not of that form, or a port outside 0..65535.
absl::StatusOr<ListenAddress> ParseListenAddress(absl::string_view text);

// How the address of a unix socket begins: "unix:/run/contree/grpc.sock".
inline constexpr char kUnixScheme[] = "unix:";

// The absolute path of a unix socket's address; nullopt: it is none. InvalidArgument: the path is
// not absolute, or longer than a socket's may be.
absl::StatusOr<std::optional<std::string>> ParseUnixAddress(absl::string_view text);

// Makes room for a unix socket: removes one that nobody listens on any more. NotFound: the
// directory is missing. FailedPrecondition: something else is in the way. Unavailable: somebody
// listens there.
absl::Status ClearSocketPath(const std::string& path);

// Whether only this machine reaches the host: 127.0.0.0/8, ::1, or the name localhost.
bool IsLoopback(absl::string_view host);

// PermissionDenied unless the host is loopback: without authentication nothing else may be listened
// on.
absl::Status RequireLoopback(absl::string_view host);

// The other direction, with brackets where they belong.
std::string FormatAddress(absl::string_view host, int port);

}  // namespace contree

#endif  // COMMON_SERVER_LISTEN_ADDRESS_H_
