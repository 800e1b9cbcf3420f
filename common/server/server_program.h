#ifndef COMMON_SERVER_SERVER_PROGRAM_H_
#define COMMON_SERVER_SERVER_PROGRAM_H_

// What main() of every gRPC server program does: flags, logging, signals, state directory, server,
// drain.
//
// Flags of all: --listen HOST:PORT or unix:/path (default 127.0.0.1:0), --state-dir DIR,
// --log-level LEVEL, and those of security_flags.h.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/limits/tenant_limits.h"

namespace CLI {
class App;
}  // namespace CLI
namespace grpc {
class Service;
}  // namespace grpc

namespace contree {

// What a program serves, from its opening to its end.
class ServedParts {
 public:
  virtual ~ServedParts() = default;
  // To be registered; they live as long as this.
  virtual std::vector<grpc::Service*> services() { return {}; }
  // The drain begins: end what would last (watches). Calls that are short go on.
  virtual void Stop() {}
};

struct ServerProgram {
  std::string name;         // "contree-service"
  std::string description;  // one line for --help
  // Full names of its services, for health.
  std::vector<std::string> service_names = {};
  // Adds flags of the program's own; absent: it has none. What they fill must outlive
  // RunServerProgram.
  std::function<void(CLI::App&)> add_flags = nullptr;
  // Where to put the limits of --limits-file before `open` is called, for what the program limits
  // itself; requests per second are seen to here. Null: nowhere.
  std::shared_ptr<TenantLimits>* limits = nullptr;
  // Opens what is served. `state_dir` exists, is private and absolute.
  std::function<absl::StatusOr<std::unique_ptr<ServedParts>>(const std::string& state_dir)> open;
};

// Runs until SIGTERM, SIGINT or SIGHUP, then drains. Call it first in main. Returns the exit code:
// 0 after a drain, 1 when it could not start, 2 for wrong flags.
int RunServerProgram(int argc, char** argv, const ServerProgram& program);

}  // namespace contree

#endif  // COMMON_SERVER_SERVER_PROGRAM_H_
