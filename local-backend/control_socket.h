#ifndef LOCAL_BACKEND_CONTROL_SOCKET_H_
#define LOCAL_BACKEND_CONTROL_SOCKET_H_

// The unix socket of a backend on demand. Each client that connects is told where the backend is,
// and its open connection says that it is needed. Thread-safe.

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/files/unique_fd.h"

namespace contree {

class ControlSocket {
 public:
  struct Options {
    std::string path;  // short (a unix socket's path has 107 bytes at most); a stale socket there
                       // is replaced
    std::string greeting;           // what each client gets first
    absl::Duration linger;          // how long the backend stays although nobody needs it
    std::function<bool()> is_busy;  // whether there is work to finish even if no client is left
    std::function<void()>
        on_unneeded;  // called once: no client, no work, and the linger has passed
  };

  // Listens (mode 0600). Internal and others: what the system said.
  static absl::StatusOr<std::unique_ptr<ControlSocket>> Open(Options options);
  ~ControlSocket();  // stops

  // Work has ended: time to ask is_busy again.
  void OnIdle();
  // Removes the socket and hangs up on all clients. Idempotent.
  void Stop();

 private:
  ControlSocket(Options options, UniqueFd listener, UniqueFd wake);
  void Loop();

  const Options options_;
  const UniqueFd listener_;
  const UniqueFd wake_;
  std::thread thread_;
};

}  // namespace contree

#endif  // LOCAL_BACKEND_CONTROL_SOCKET_H_
