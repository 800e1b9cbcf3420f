#include "common/server/server_program.h"

#include <CLI/CLI.hpp>
#include <atomic>
#include <exception>
#include <iostream>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/auth/auth_options.h"
#include "common/files/state_directory.h"
#include "common/server/admin_server.h"
#include "common/server/grpc_server.h"
#include "common/server/health_check.h"
#include "common/server/security_flags.h"
#include "common/server/termination.h"
#include "common/status/status_macros.h"
#include "common/telemetry/logging.h"
#include "common/time/clock.h"

namespace contree {
namespace {

constexpr absl::Duration kDrainGrace = absl::Seconds(10);

struct CommonFlags {
  std::string listen = "127.0.0.1:0";
  std::string state_dir = DefaultStateDirectory();
  std::string log_level = "info";
  std::string admin_listen;
  std::string limits_file;
  SecurityFlags security;
};

absl::Status Serve(const ServerProgram& program, const CommonFlags& flags) {
  ASSIGN_OR_RETURN(const std::string state_dir, MakePrivateDirectory(flags.state_dir));
  ASSIGN_OR_RETURN(std::shared_ptr<Authenticator> authenticator,
                   OpenAuthenticator(flags.security.auth));
  static RealClock& clock = *new RealClock();  // for what outlives this
  std::shared_ptr<TenantLimits> limits;
  if (!flags.limits_file.empty()) {
    ASSIGN_OR_RETURN(limits, TenantLimits::Open(flags.limits_file, &clock));
  }
  if (program.limits != nullptr) *program.limits = limits;
  ASSIGN_OR_RETURN(const std::unique_ptr<ServedParts> parts, program.open(state_dir));
  ASSIGN_OR_RETURN(const std::unique_ptr<GrpcServer> server,
                   GrpcServer::Start({.listen = flags.listen,
                                      .health_names = program.service_names,
                                      .authenticator = std::move(authenticator),
                                      .limits = limits,
                                      .tls = flags.security.tls},
                                     parts->services()));
  std::atomic<bool> is_ready = true;
  std::unique_ptr<AdminServer> admin;
  if (!flags.admin_listen.empty()) {
    ASSIGN_OR_RETURN(
        admin, AdminServer::Start(flags.admin_listen, [&is_ready] { return is_ready.load(); }));
  }
  LogInfo(absl::StrCat(program.name, " serves"), {{"grpc", server->address()},
                                                  {"admin", admin == nullptr ? "" : admin->url()},
                                                  {"state_dir", state_dir}});
  const int signal = WaitForTermination();
  is_ready = false;
  LogInfo(absl::StrCat(program.name, " drains"), {{"signal", absl::StrCat(signal)}});
  server->Retire();
  parts->Stop();
  server->Drain(kDrainGrace);
  return absl::OkStatus();
}

}  // namespace

int RunServerProgram(int argc, char** argv, const ServerProgram& program) {
  if (const std::optional<int> exit_code = RunHealthCheck(argc, argv); exit_code.has_value())
    return *exit_code;
  BlockTerminationSignals();
  CommonFlags flags;
  try {
    CLI::App app(program.description, program.name);
    app.add_option("--listen", flags.listen,
                   "HOST:PORT to serve gRPC on, port 0: a free one, which the log names; or "
                   "unix:/absolute/path")
        ->capture_default_str();
    app.add_option("--state-dir", flags.state_dir,
                   "where everything that must outlive the program is kept")
        ->capture_default_str();
    app.add_option("--log-level", flags.log_level, "debug, info, warning or error")
        ->capture_default_str();
    app.add_option("--admin-listen", flags.admin_listen,
                   "HOST:PORT of /metrics, /healthz and /readyz over plain HTTP; none by default")
        ->envname("CONTREE_MCP_ADMIN_LISTEN");
    app.add_option("--limits-file", flags.limits_file,
                   "JSON of what each tenant may use (requests_per_second, concurrent_operations, "
                   "upload_bytes_per_day); read again when it changes; no limits by default")
        ->envname("CONTREE_MCP_LIMITS_FILE");
    AddSecurityFlags(flags.security, app);
    app.footer(kHealthCheckHelp);
    if (program.add_flags != nullptr) program.add_flags(app);
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return app.exit(error) == 0 ? 0 : 2;
    }
  } catch (const std::exception& error) {
    std::cerr << program.name << ": " << error.what() << std::endl;
    return 2;
  }
  if (const absl::Status status = InitLogging(program.name, flags.log_level); !status.ok()) {
    std::cerr << program.name << ": " << status.message() << std::endl;
    return 2;
  }
  if (const absl::Status status = Serve(program, flags); !status.ok()) {
    LogError(absl::StrCat(program.name, " cannot start"),
             {{"error", std::string(status.message())}});
    return 1;
  }
  return 0;
}

}  // namespace contree
