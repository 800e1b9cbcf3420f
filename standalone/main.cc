// contree-mcp: the whole system as one program on a desk.

#include <unistd.h>

#include <iostream>

#include "common/server/termination.h"
#include "common/telemetry/logging.h"
#include "local-backend/local_backend.h"
#include "standalone/demo.h"
#include "standalone/options.h"
#include "standalone/serve.h"

int main(int argc, char** argv) {
  using contree::standalone::Command;
  const contree::standalone::ParsedCommandLine parsed =
      contree::standalone::ParseCommandLine(argc, argv);
  if (!parsed.options.has_value()) {
    (parsed.exit_code == 0 ? std::cout : std::cerr) << parsed.text;
    return parsed.exit_code;
  }
  const contree::standalone::Options& options = *parsed.options;
  const bool is_backend = options.command == Command::kLocalBackend;
  if (const absl::Status status = contree::InitLogging(
          is_backend ? "contree-local-backend" : "contree-mcp",
          // With HTTP a person starts it and reads where it serves; with stdio a client's log gets
          // it all.
          options.mode == "http" && options.log_level == "warning" ? "info" : options.log_level);
      !status.ok()) {
    std::cerr << "contree-mcp: " << status.message() << std::endl;
    return 2;
  }
  contree::BlockTerminationSignals();
  if (is_backend) {
    contree::LocalBackendOptions backend;
    backend.state_dir = options.state_dir;
    backend.on_demand = true;
    backend.ready_fd = options.ready_fd;
    return contree::RunLocalBackend(backend);
  }
  const absl::Status status = options.command == Command::kDemo
                                  ? contree::standalone::RunDemo(options, std::cout)
                                  : contree::standalone::Serve(options);
  if (!status.ok()) {
    std::cerr << "contree-mcp: " << status.message() << std::endl;
    return 1;
  }
  return 0;
}
