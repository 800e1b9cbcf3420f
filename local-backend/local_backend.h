#ifndef LOCAL_BACKEND_LOCAL_BACKEND_H_
#define LOCAL_BACKEND_LOCAL_BACKEND_H_

// The ConTree HTTP API served from this machine, every command in a sandbox of its own. One
// function is the whole program, so that another program can run it in a child process: it enters
// namespaces and never leaves them.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "local-backend/sandbox/isolation.h"

namespace contree {

struct LocalBackendOptions {
  // Everything is kept in state_dir + "/local-backend".
  std::string state_dir;
  std::string listen = "127.0.0.1:0";  // of the HTTP API; port 0: a free one
  std::string base_path;               // of the HTTP API, before /v1; "" or "/sandboxes"
  std::string grpc_listen;             // of gRPC health and reflection; empty: not served
  std::string admin_listen;            // of /metrics, /healthz and /readyz; empty: not served
  // Whether answers are compressed for clients that accept gzip: "always", "never", or "auto": not
  // where only this machine can ask, to which bytes cost less than compressing them.
  std::string compress = "auto";
  // "none": one project, for whoever reaches us, or has the token of token_file. "keys": the Bearer
  // tokens of auth_keys, a file as in api/project_keys.h, each for its projects.
  std::string auth = "none";
  std::string auth_keys;
  std::string token_file;  // its first line is the Bearer token that requests must carry; empty:
                           // any will do
  int max_concurrent =
      0;  // instances that run at once, others wait their turn; 0: by the number of CPUs
  int max_queued = 1000;  // operations of one project that wait for their turn; more are refused
  // What one instance may take of memory, processes and CPUs; 0: half of the machine's memory, 4096
  // processes, all CPUs. All instances together get 80 % of the memory. Held by cgroups where this
  // user may make them, else by rlimits.
  int64_t instance_memory_bytes = 0;
  int64_t instance_processes = 0;
  double instance_cpus = 0;
  // Whether instances may have a way out to the network: "auto", where this machine can give them
  // one, or "none".
  std::string network = "auto";
  // What all of it may take, and what stays free on its disk, in bytes; 0: no bound. Beyond it
  // images and files that nobody used lately are removed, then requests refused, then runs stopped.
  int64_t disk_quota = 0;
  int64_t disk_reserve = int64_t{512} << 20;
  // Images without a tag, uploaded files and records of operations that nobody used for so many
  // days are removed; 0: never.
  int keep_days = 30;
  // What commands are isolated by.
  IsolationOptions isolation;
  // Registries ("HOST[:PORT]") to import from without TLS, and those on private addresses; see
  // common/registry/registry_transport.h.
  std::vector<std::string> insecure_registries = {};
  std::vector<std::string> private_registries = {};

  // One backend for all programs of a desk that use the state directory. It makes up a token, and
  // says where it is on the unix socket state_dir + "/local-backend/control.sock": each client that
  // connects gets one line
  // {"url": …, "token": …, "pid": …, "isolation": …} and keeps the connection as its lifeline. With
  // no lifeline and nothing running, it ends after `linger`.
  bool on_demand = false;
  absl::Duration linger = absl::Seconds(2);

  // Gets "ready\n" once requests are served or "error: MESSAGE\n", and is closed; -1: nobody wants
  // to know.
  int ready_fd = -1;
};

inline constexpr int kLocalBackendIsRunning = 3;

// Serves until SIGTERM, SIGINT or SIGHUP (or, on demand, until nobody needs it), then drains. Call
// it with no other thread running. Logging must be set up and the termination signals blocked
// (common/server/termination.h). Returns an exit code: 0; 1 when it cannot serve (isolation is
// missing, an address is taken; logged, and told to ready_fd); kLocalBackendIsRunning when another
// backend holds the state directory.
int RunLocalBackend(const LocalBackendOptions& options);

// Does what a start does to bring the stores of options.state_dir in order after a crash, then
// compares all that the databases say with what is on the disk, reading everything, and prints what
// is wrong. Same conditions. Returns an exit code: 0: nothing is wrong; 1: something is, or it
// cannot be looked at; kLocalBackendIsRunning.
int CheckLocalBackend(const LocalBackendOptions& options);

}  // namespace contree

#endif  // LOCAL_BACKEND_LOCAL_BACKEND_H_
