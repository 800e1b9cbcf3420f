// contree-mcp: the whole system as one program on a desk.

#include <unistd.h>

#include <iostream>

#include "common/server/termination.h"
#include "common/telemetry/logging.h"
#include "local-backend/local_backend.h"
#include "standalone/demo.h"
#include "standalone/doctor/doctor.h"
#include "standalone/install.h"
#include "standalone/login.h"
#include "standalone/options.h"
#include "standalone/registry.h"
#include "standalone/serve.h"
#include "standalone/status.h"

namespace {

using contree::standalone::Command;

// All but the backend and the doctor. Termination signals must be blocked: what serves waits for
// them.
absl::Status RunCommand(const contree::standalone::Options& options) {
  switch (options.command) {
    case Command::kDemo:
      return contree::standalone::RunDemo(options, std::cout, isatty(STDOUT_FILENO) == 1);
    case Command::kInstall:
      return contree::standalone::RunInstall(options, std::cout);
    case Command::kUninstall:
      return contree::standalone::RunUninstall(options, std::cout);
    case Command::kLogin:
      return contree::standalone::RunLogin(options, std::cout);
    case Command::kRegistry:
      return contree::standalone::RunRegistry(options, std::cout);
    case Command::kStatus:
      return contree::standalone::RunStatus(options, std::cout);
    case Command::kDoctor:
    case Command::kLocalBackend:
    case Command::kServe:
      break;
  }
  return contree::standalone::Serve(options);
}

// Those that a person waits for, whose Ctrl-C must end them.
bool TalksToAPerson(Command command) {
  return command == Command::kInstall || command == Command::kUninstall ||
         command == Command::kLogin || command == Command::kRegistry ||
         command == Command::kDoctor || command == Command::kStatus;
}

}  // namespace

int main(int argc, char** argv) {
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
  if (!TalksToAPerson(options.command)) contree::BlockTerminationSignals();
  if (is_backend) {
    contree::LocalBackendOptions backend;
    backend.state_dir = options.state_dir;
    backend.on_demand = true;
    backend.ready_fd = options.ready_fd;
    backend.isolation.tier = options.isolation;
    backend.isolation.vm_kernel = options.vm_kernel;
    backend.isolation.vm_modules = options.vm_modules;
    backend.isolation.vm_accelerator = options.vm_accelerator;
    backend.insecure_registries = options.insecure_registries;
    backend.private_registries = options.private_registries;
    return contree::RunLocalBackend(backend);
  }
  if (options.command == Command::kDoctor) {
    return contree::standalone::RunDoctor(options, std::cout);
  }
  const absl::Status status = RunCommand(options);
  if (!status.ok()) {
    std::cerr << "contree-mcp: " << status.message() << std::endl;
    return 1;
  }
  return 0;
}
