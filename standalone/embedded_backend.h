#ifndef STANDALONE_EMBEDDED_BACKEND_H_
#define STANDALONE_EMBEDDED_BACKEND_H_

// The ConTree API on this machine, without an account: one local backend for each state directory,
// shared by every contree-mcp that runs on it. The first one starts it; it ends by itself a little
// after the last one left, once nothing runs any more.
//
// How they meet (local-backend speaks the other side): the backend listens on
// STATE_DIR/local-backend/control.sock and tells each client that connects where it serves and with
// which token. The open connection is the client's lifeline.

#include <sys/types.h>

#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/files/unique_fd.h"
#include "contree-service/api_endpoint.h"
#include "standalone/backend_connection.h"

namespace contree::standalone {

struct EmbeddedBackendOptions {
  std::string state_dir;  // exists, absolute
  // The program and first arguments that run a backend; "--state-dir DIR --ready-fd N" and
  // `arguments` follow.
  std::vector<std::string> program = {"/proc/self/exe", "local-backend"};
  // How commands are to be isolated: a backend that isolates them otherwise is not joined.
  std::string isolation = "namespaces";
  std::vector<std::string> arguments = {};
};

// Thread-safe.
class EmbeddedBackend final : public ApiEndpointSource {
 public:
  // Begins to join or start the backend and returns at once.
  explicit EmbeddedBackend(EmbeddedBackendOptions options);
  ~EmbeddedBackend() override;  // leaves it

  // Waits until the backend serves, joining it anew if it went away.
  // DeadlineExceeded: not until context.deadline. Cancelled: context.stop. FailedPrecondition: this
  // machine cannot isolate commands, another program has the backend run with another isolation, or
  // the backend cannot start for another reason; the message is the backend's own.
  absl::StatusOr<ApiEndpoint> EndpointFor(const CallContext& context) override;

 private:
  void KeepJoined();
  absl::StatusOr<BackendConnection> JoinOrStart();
  absl::Status StartBackend();

  const EmbeddedBackendOptions options_;
  pid_t started_pid_ =
      -1;          // the backend that this process started, until it was waited for; thread_ only
  UniqueFd wake_;  // an eventfd: ends the wait for the lifeline's end

  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  // How often somebody asked while there was no backend: a failure is tried again when asked again,
  // not in a loop.
  int asked_ ABSL_GUARDED_BY(mutex_) = 1;
  int answered_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::StatusOr<ApiEndpoint> endpoint_ ABSL_GUARDED_BY(mutex_);

  std::thread thread_;
};

}  // namespace contree::standalone

#endif  // STANDALONE_EMBEDDED_BACKEND_H_
