#ifndef STANDALONE_BACKEND_CONNECTION_H_
#define STANDALONE_BACKEND_CONNECTION_H_

// The client's side of an embedded backend's control socket (local-backend/control_socket.h is the
// other): where the backend serves and with which token, and the open connection that says that it
// is needed.

#include <sys/types.h>

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/files/unique_fd.h"
#include "contree-service/api_endpoint.h"

namespace contree::standalone {

struct BackendConnection {
  ApiEndpoint endpoint;
  pid_t pid = 0;
  std::string isolation;  // of its commands
  UniqueFd lifeline;
};

// Connects to the backend that serves this state directory. `wake` interrupts it by becoming
// readable (-1: nothing does). Unavailable, NotFound: none does. Cancelled: `wake`.
// DeadlineExceeded, Internal: what listens there does not speak as a backend does.
absl::StatusOr<BackendConnection> ConnectToBackend(const std::string& state_dir, int wake);

// Reads until a line feed (dropped) or the end. Cancelled: `wake` became readable.
absl::StatusOr<std::string> ReadBackendLine(int fd, int wake, absl::Time deadline);

}  // namespace contree::standalone

#endif  // STANDALONE_BACKEND_CONNECTION_H_
