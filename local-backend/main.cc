// contree-local-backend: the ConTree HTTP API served from this machine.

#include <CLI/CLI.hpp>
#include <iostream>
#include <optional>
#include <string>

#include "common/files/state_directory.h"
#include "common/server/health_check.h"
#include "common/server/termination.h"
#include "common/telemetry/logging.h"
#include "local-backend/local_backend.h"

int main(int argc, char** argv) {
  if (const std::optional<int> exit_code = contree::RunHealthCheck(argc, argv);
      exit_code.has_value()) {
    return *exit_code;
  }
  contree::BlockTerminationSignals();
  contree::LocalBackendOptions options;
  options.state_dir = contree::DefaultStateDirectory();
  options.grpc_listen = "127.0.0.1:0";
  std::string log_level = "info";
  double linger_seconds = absl::ToDoubleSeconds(options.linger);

  CLI::App app("Serves the ConTree HTTP API from this machine, every command isolated.");
  app.add_option("--state-dir", options.state_dir, "where images and operations are kept")
      ->capture_default_str();
  app.add_option("--listen", options.listen, "HOST:PORT of the HTTP API; port 0 takes a free one")
      ->capture_default_str();
  app.add_option("--base-path", options.base_path,
                 "path before /v1, as behind the vendor's gateway: /sandboxes; empty: none");
  app.add_option("--grpc-listen", options.grpc_listen,
                 "HOST:PORT of gRPC health and reflection; empty: none")
      ->capture_default_str();
  app.add_option("--auth", options.auth,
                 "who may call: none (on loopback only, or who has the token of --token-file), or "
                 "keys (--auth-keys)")
      ->check(CLI::IsMember({"none", "keys"}))
      ->capture_default_str();
  app.add_option(
      "--auth-keys", options.auth_keys,
      "file of lines SHA256-OF-A-TOKEN PROJECT [PROJECT...], read again when it changes");
  app.add_option("--token-file", options.token_file,
                 "file whose first line is the Bearer token that requests must carry");
  app.add_option("--max-concurrent", options.max_concurrent,
                 "instances that run at once; 0 chooses by the number of CPUs")
      ->check(CLI::Range(0, 10'000))
      ->capture_default_str();
  app.add_option("--compress", options.compress,
                 "gzip for clients that accept it: always, never, or auto (not on loopback)")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->capture_default_str();
  app.add_option("--max-queued", options.max_queued,
                 "operations of a project that may wait for their turn; more are answered 429")
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str();
  app.add_option(
         "--instance-memory", options.instance_memory_bytes,
         "bytes of memory that an instance may take, such as 2GiB; 0: half of the machine's")
      ->transform(CLI::AsSizeValue(false))
      ->envname("CONTREE_MCP_INSTANCE_MEMORY");
  app.add_option("--instance-processes", options.instance_processes,
                 "processes and threads that an instance may have; 0: 4096")
      ->check(CLI::Range(0, 1'000'000))
      ->envname("CONTREE_MCP_INSTANCE_PROCESSES");
  app.add_option("--instance-cpus", options.instance_cpus,
                 "CPUs that an instance may use, such as 1.5; 0: all (with cgroups only)")
      ->check(CLI::NonNegativeNumber)
      ->envname("CONTREE_MCP_INSTANCE_CPUS");
  app.add_option("--network", options.network,
                 "auto: instances that ask for a network have one, where this machine "
                 "allows it; none: they have loopback only")
      ->check(CLI::IsMember({"auto", "none"}))
      ->envname("CONTREE_MCP_NETWORK")
      ->capture_default_str();
  app.add_option("--disk-quota", options.disk_quota,
                 "what the state directory may take, such as 20GiB; 0: no bound")
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str();
  app.add_option("--disk-reserve", options.disk_reserve,
                 "what stays free on its disk, such as 512MiB; 0: nothing")
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str();
  app.add_option("--keep-days", options.keep_days,
                 "days that untagged images, uploaded files and records of operations are kept "
                 "after their last use; 0: forever")
      ->check(CLI::Range(0, 36'500))
      ->capture_default_str();
  app.add_option("--bubblewrap", options.isolation.bubblewrap,
                 "the program bwrap, by path or by name")
      ->capture_default_str();
  app.add_option(
         "--isolation", options.isolation.tier,
         "namespaces: on this machine's kernel, behind a filter; gvisor: on gVisor's kernel "
         "(slower, no network, needs the package runsc and cgroups); microvm: in a virtual machine "
         "with a kernel of its own (slowest, no network, needs the package qemu-system-x86 and a "
         "kernel)")
      ->envname("CONTREE_MCP_ISOLATION")
      ->capture_default_str();
  app.add_option("--runsc", options.isolation.runsc,
                 "the program runsc of gVisor, by path or by name")
      ->capture_default_str();
  app.add_option("--qemu", options.isolation.qemu,
                 "the program qemu-system-x86_64 of microvm, by path or by name")
      ->capture_default_str();
  app.add_option("--vm-kernel", options.isolation.vm_kernel,
                 "kernel (bzImage) of microvm; empty: the newest /boot/vmlinuz-*")
      ->envname("CONTREE_MCP_VM_KERNEL");
  app.add_option("--vm-modules", options.isolation.vm_modules,
                 "directory of that kernel's modules; empty: /lib/modules/VERSION")
      ->envname("CONTREE_MCP_VM_MODULES");
  app.add_option(
         "--vm-accelerator", options.isolation.vm_accelerator,
         "kvm, software (emulation, seconds for each command), or auto: kvm where a virtual "
         "machine really starts with it")
      ->check(CLI::IsMember({"auto", "kvm", "software"}))
      ->envname("CONTREE_MCP_VM_ACCELERATOR")
      ->capture_default_str();
  app.add_option("--insecure-registry", options.insecure_registries,
                 "HOST[:PORT] of a registry to import from without TLS; may be repeated")
      ->envname("CONTREE_MCP_INSECURE_REGISTRIES")
      ->delimiter(',');
  app.add_option("--private-registry", options.private_registries,
                 "HOST[:PORT] of a registry on a private address; may be repeated")
      ->envname("CONTREE_MCP_PRIVATE_REGISTRIES")
      ->delimiter(',');
  app.add_flag("--on-demand", options.on_demand,
               "serve the programs that connect to the control socket, end when none is left");
  app.add_option("--linger", linger_seconds,
                 "seconds to stay when nobody needs the backend (with --on-demand)")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--ready-fd", options.ready_fd,
                 "descriptor that gets \"ready\" or \"error: MESSAGE\" (with --on-demand)");
  bool check = false;
  app.add_flag(
      "--check", check,
      "compare what the databases say with what is on the disk, say what is wrong, and end");
  app.add_option("--admin-listen", options.admin_listen,
                 "HOST:PORT of /metrics, /healthz and /readyz over plain HTTP; none by default")
      ->envname("CONTREE_MCP_ADMIN_LISTEN");
  app.footer(contree::kHealthCheckHelp);
  app.add_option("--log-level", log_level, "debug, info, warning or error")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  options.linger = absl::Seconds(linger_seconds);
  if (options.on_demand) options.grpc_listen.clear();
  if (const absl::Status status = contree::InitLogging("contree-local-backend", log_level);
      !status.ok()) {
    std::cerr << status.message() << std::endl;
    return 1;
  }
  return check ? contree::CheckLocalBackend(options) : contree::RunLocalBackend(options);
}
