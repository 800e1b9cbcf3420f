#include "local-backend/local_backend.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <future>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/files/state_directory.h"
#include "common/files/unique_fd.h"
#include "common/http/http_server.h"
#include "common/server/admin_server.h"
#include "common/server/grpc_server.h"
#include "common/server/listen_address.h"
#include "common/server/termination.h"
#include "common/status/status_macros.h"
#include "common/telemetry/logging.h"
#include "common/uuid/uuid.h"
#include "local-backend/api/api_handler.h"
#include "local-backend/api/event_streamer.h"
#include "local-backend/api/project_keys.h"
#include "local-backend/control_socket.h"
#include "local-backend/files/file_store.h"
#include "local-backend/images/image_store.h"
#include "local-backend/importer/image_importer.h"
#include "local-backend/operations/operations.h"
#include "local-backend/outside_file.h"
#include "local-backend/sandbox/isolation.h"
#include "local-backend/sandbox/network_addresses.h"
#include "local-backend/sandbox/network_uplink.h"
#include "local-backend/sandbox/run_cgroups.h"
#include "local-backend/sandbox/sandbox.h"
#include "local-backend/sandbox/tun_device.h"
#include "local-backend/sandbox/user_namespace.h"
#include "local-backend/upkeep/disk_budget.h"
#include "local-backend/upkeep/upkeep.h"

namespace contree {
namespace {

using StatusOrNetworkStack = absl::StatusOr<std::unique_ptr<NetworkStackProgram>>;

constexpr char kBusybox[] = "/bin/busybox";
constexpr size_t kMaxTokenFile = 64 * 1024;
constexpr size_t kMaxKeysFile = 4 * 1024 * 1024;
// Each waits for a registry most of its time.
constexpr int kMaxConcurrentImports = 8;
// What running commands get at the end to finish by themselves.
constexpr absl::Duration kDrainGrace = absl::Seconds(5);

int DefaultConcurrency() {
  return std::max(8, 4 * static_cast<int>(std::thread::hardware_concurrency()));
}

RunLimits LimitsOf(const LocalBackendOptions& options) {
  const int64_t machine = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  return {.memory_bytes =
              options.instance_memory_bytes > 0 ? options.instance_memory_bytes : machine / 2,
          .processes = options.instance_processes > 0 ? options.instance_processes : 4096,
          .cpus = options.instance_cpus};
}

RunLimits LimitsOfAll() {
  const int64_t machine = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  return {.memory_bytes = machine / 5 * 4};
}

// Says how the start went to who waits for it.
class Readiness {
 public:
  explicit Readiness(int fd) : fd_(fd) {
    if (fd >= 0) fcntl(fd, F_SETFD, FD_CLOEXEC);  // sandboxes must not keep it open
  }
  void Tell(absl::string_view line) {
    if (!fd_.is_open()) return;
    // Who does not listen any more does not matter.
    [[maybe_unused]] const ssize_t written = write(fd_.get(), line.data(), line.size());
    fd_.Reset();
  }

 private:
  UniqueFd fd_;
};

absl::StatusOr<std::string> Token(const LocalBackendOptions& options) {
  if (!options.token_file.empty()) {
    ASSIGN_OR_RETURN(const std::string content, ReadFile(options.token_file, kMaxTokenFile));
    const std::string token(absl::StripAsciiWhitespace(content.substr(0, content.find('\n'))));
    if (token.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the token file ", options.token_file, " has an empty first line"));
    }
    return token;
  }
  if (options.on_demand) return absl::StrReplaceAll(NewUuidV4() + NewUuidV4(), {{"-", ""}});
  return std::string();
}

absl::Status CheckBasePath(const std::string& path) {
  if (path.empty() || (path.front() == '/' && path.back() != '/' &&
                       path.find_first_of("?#% ") == std::string::npos)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "--base-path \"", path, "\" must begin with / and not end with one, such as /sandboxes"));
}

absl::Status CheckWhoMayCall(const LocalBackendOptions& options, const std::string& token,
                             const std::string& host) {
  if (options.auth == "keys") {
    if (options.auth_keys.empty()) {
      return absl::InvalidArgumentError("--auth=keys needs a file of keys: give --auth-keys FILE");
    }
    if (!token.empty()) {
      return absl::InvalidArgumentError(
          "--auth=keys has its tokens in --auth-keys: --token-file and --on-demand do not go with "
          "it");
    }
    return absl::OkStatus();
  }
  if (!token.empty() || IsLoopback(host)) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat("without --auth=keys or --token-file anybody who reaches ", host,
                   " could run commands: give one, or listen on 127.0.0.1"));
}

// The keys of --auth=keys, as the file has them now.
class KeysFile {
 public:
  explicit KeysFile(OutsideFile file) : file_(std::move(file)) {}
  ~KeysFile() {
    if (!thread_.joinable()) return;
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(stop_.get(), &one, sizeof one);
    thread_.join();
  }
  KeysFile(const KeysFile&) = delete;
  KeysFile& operator=(const KeysFile&) = delete;

  const ProjectKeys& keys() const { return keys_; }
  absl::Status LoadFirst() { return keys_.Load(file_.first_content()); }
  // From now on changes count.
  void Follow() {
    stop_.Reset(eventfd(0, EFD_CLOEXEC));
    thread_ = std::thread([this] {
      while (true) {
        const absl::StatusOr<std::string> content = file_.Next(stop_.get());
        if (!content.ok()) return;
        if (const absl::Status loaded = keys_.Load(*content); loaded.ok()) {
          LogInfo("the keys have changed");
        } else {
          LogError("the keys have changed, and are wrong: those of before still count",
                   {{"error", std::string(loaded.message())}});
        }
      }
    });
  }

 private:
  OutsideFile file_;
  ProjectKeys keys_;
  UniqueFd stop_;
  std::thread thread_;
};

bool Compresses(const LocalBackendOptions& options, const ListenAddress& address) {
  return options.compress == "always" || (options.compress == "auto" && !IsLoopback(address.host));
}

// A sandbox takes some ten descriptors while it runs; the soft limit is 1024 as a rule, and ours to
// raise.
void RaiseOpenFileLimit() {
  rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

// Which limits are in force, and by what.
std::string Describe(const RunLimits& limits, bool in_machine,
                     const absl::StatusOr<std::unique_ptr<CgroupTree>>& cgroups) {
  const std::string numbers =
      absl::StrCat(limits.memory_bytes, " bytes of memory, ", limits.processes, " processes");
  if (!cgroups.ok() && in_machine) {
    return absl::StrCat("the virtual machine (", numbers,
                        "); no cgroups: ", cgroups.status().message());
  }
  if (!cgroups.ok()) {
    return absl::StrCat("rlimits, memory for each process alone (", numbers,
                        "); no cgroups: ", cgroups.status().message());
  }
  return absl::StrCat(in_machine ? "the virtual machine and " : "", "cgroup v",
                      (*cgroups)->version(), ": ", numbers,
                      limits.cpus > 0 ? absl::StrCat(", ", limits.cpus, " CPUs") : "");
}

std::string Describe(const StatusOrNetworkStack& stack) {
  if (!stack.ok()) return absl::StrCat("loopback only: ", stack.status().message());
  return absl::StrCat(
      "IPv4 through this user's sockets, ",
      (*stack)->has_nameserver() ? "names through this machine's nameserver" : "no nameserver");
}

std::string OnOneLine(absl::string_view text) { return absl::StrReplaceAll(text, {{"\n", " "}}); }

// What instances see as /etc/resolv.conf. `directory`: of the backend.
absl::StatusOr<std::string> MakeResolvConf(const std::string& directory) {
  std::string path = absl::StrCat(directory, "/resolv.conf");
  RETURN_IF_ERROR(WritePrivateFile(path, absl::StrCat("nameserver ", kNameserverAddress, "\n")));
  if (chmod(path.c_str(), 0644) != 0) return absl::ErrnoToStatus(errno, path);
  return path;
}

// AlreadyExists: another process holds the directory.
absl::StatusOr<UniqueFd> Lock(const std::string& directory) {
  const std::string path = absl::StrCat(directory, "/lock");
  UniqueFd lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock.is_open()) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return absl::ErrnoToStatus(errno, absl::StrCat("cannot lock ", path));
    return absl::AlreadyExistsError(absl::StrCat("another backend serves ", directory,
                                                 ": use that one, or name another --state-dir"));
  }
  return lock;
}

absl::Status Serve(const LocalBackendOptions& options, Readiness& readiness) {
  ASSIGN_OR_RETURN(const std::string token, Token(options));
  ASSIGN_OR_RETURN(const ListenAddress address, ParseListenAddress(options.listen));
  RaiseOpenFileLimit();
  RETURN_IF_ERROR(CheckBasePath(options.base_path));
  RETURN_IF_ERROR(CheckIsolationOptions(options.isolation));
  RETURN_IF_ERROR(CheckWhoMayCall(options, token, address.host));
  std::optional<KeysFile> keys;
  if (options.auth == "keys") {
    ASSIGN_OR_RETURN(OutsideFile file, OutsideFile::Open(options.auth_keys, kMaxKeysFile));
    keys.emplace(std::move(file));
    RETURN_IF_ERROR(keys->LoadFirst());
  }
  ASSIGN_OR_RETURN(const std::string state_directory, MakePrivateDirectory(options.state_dir));
  ASSIGN_OR_RETURN(const std::string outside,
                   MakePrivateDirectory(absl::StrCat(state_directory, "/local-backend")));
  ASSIGN_OR_RETURN(const UniqueFd lock, Lock(outside));
  const RunLimits limits = LimitsOf(options);
  ASSIGN_OR_RETURN(const NamespaceRoot root, RootOutside());
  const absl::StatusOr<std::unique_ptr<CgroupTree>> cgroups =
      CgroupTree::Create(root, LimitsOfAll(), limits.cpus > 0);
  const bool wants_network = options.network != "none" && options.isolation.has_network();
  const absl::Status tun = wants_network ? MakeTunDeviceReachable() : absl::OkStatus();
  const absl::Status devices = MakeIsolationDevicesReachable(options.isolation, outside);
  ASSIGN_OR_RETURN(const std::string directory, EnterPrivateNamespaces(outside));
  // It takes a while, beside all that follows.
  std::future<StatusOrNetworkStack> trying_network_stack =
      std::async(std::launch::async, [&options, &tun]() -> StatusOrNetworkStack {
        if (options.network == "none") return absl::FailedPreconditionError("--network=none");
        if (!options.isolation.has_network()) {
          return absl::FailedPreconditionError(
              absl::StrCat("--isolation=", options.isolation.tier,
                           " has none; a backend with --isolation=namespaces may"));
        }
        RETURN_IF_ERROR(tun);
        return NetworkStackProgram::Create();
      });

  const std::string mount_point = absl::StrCat(directory, "/mountpoint");
  if (mkdir(mount_point.c_str(), 0755) != 0 && errno != EEXIST) {
    return absl::ErrnoToStatus(errno, "cannot make the mount point of sandboxes");
  }
  DiskBudget budget(
      {.directory = directory, .quota = options.disk_quota, .reserve = options.disk_reserve});
  ASSIGN_OR_RETURN(const std::unique_ptr<ImageStore> images, ImageStore::Open(directory, &budget));
  if (const absl::Status seeded = images->Seed(kBusybox); !seeded.ok()) {
    LogWarning("there is no first image", {{"error", std::string(seeded.message())}});
  }
  const StatusOrNetworkStack network_stack = trying_network_stack.get();
  std::string resolv_conf;
  if (network_stack.ok() && (*network_stack)->has_nameserver()) {
    ASSIGN_OR_RETURN(resolv_conf, MakeResolvConf(directory));
  }
  ASSIGN_OR_RETURN(
      const Isolation isolation,
      MakeIsolation(options.isolation, devices,
                    {.mount_point = mount_point,
                     .limits = limits,
                     .cgroups = cgroups.ok() ? cgroups->get() : nullptr,
                     .network_stack = network_stack.ok() ? network_stack->get() : nullptr},
                    directory, images->empty_directory()));
  ImageImporter importer({.insecure_registries = options.insecure_registries,
                          .private_registries = options.private_registries},
                         images.get());
  ASSIGN_OR_RETURN(const std::unique_ptr<FileStore> files, FileStore::Open(directory, &budget));
  ASSIGN_OR_RETURN(const std::unique_ptr<OperationStore> store, OperationStore::Open(directory));
  Upkeep upkeep({.keep = options.keep_days > 0 ? absl::Hours(24) * options.keep_days
                                               : absl::InfiniteDuration()},
                *images, *files, *store, budget);
  budget.OnShortage([&upkeep] { upkeep.MakeRoom(); });

  if (keys.has_value()) keys->Follow();
  std::unique_ptr<ControlSocket> control;  // before `operations`, which calls it until it is gone
  const int max_concurrent =
      options.max_concurrent > 0 ? options.max_concurrent : DefaultConcurrency();
  Operations operations(
      {.max_concurrent = max_concurrent,
       .max_concurrent_jobs = kMaxConcurrentImports,
       .bounds = {.operations = options.max_queued},
       .budget = &budget,
       .no_network = network_stack.ok() ? ""
                                        : absl::StrCat("sandboxes have no network but loopback "
                                                       "here: ",
                                                       network_stack.status().message()),
       .resolv_conf = resolv_conf,
       .on_idle =
           [&control] {
             if (control != nullptr) control->OnIdle();
           }},
      *images, *isolation.launcher, *store);
  ASSIGN_OR_RETURN(const std::unique_ptr<EventStreamer> streamer, EventStreamer::Create({}));
  ASSIGN_OR_RETURN(
      const std::unique_ptr<HttpServer> http,
      HttpServer::Start(
          {.host = address.host, .port = address.port, .compress = Compresses(options, address)},
          MakeApiHandler({.images = *images,
                          .files = *files,
                          .importer = importer,
                          .operations = operations,
                          .streamer = *streamer,
                          .base_path = options.base_path,
                          .keys = keys.has_value() ? &keys->keys() : nullptr,
                          .token = token,
                          .token_uuid = NewUuidV4(),
                          .isolation = options.isolation.tier,
                          .limits = limits,
                          .disk_quota = options.disk_quota,
                          .max_concurrent = max_concurrent,
                          .max_concurrent_imports = kMaxConcurrentImports})));
  std::unique_ptr<GrpcServer> grpc;
  if (!options.grpc_listen.empty()) {
    ASSIGN_OR_RETURN(grpc, GrpcServer::Start({.listen = options.grpc_listen}, {}));
  }
  std::atomic<bool> is_ready = true;
  std::unique_ptr<AdminServer> admin;
  if (!options.admin_listen.empty()) {
    ASSIGN_OR_RETURN(
        admin,
        AdminServer::Start(
            options.admin_listen, [&is_ready] { return is_ready.load(); },
            absl::StrCat("isolation: ", OnOneLine(isolation.description), "\nlimits: ",
                         OnOneLine(Describe(limits, options.isolation.tier == "microvm", cgroups)),
                         "\nnetwork: ", OnOneLine(Describe(network_stack)), "\n")));
  }
  LogInfo("contree-local-backend serves",
          {{"http", http->url()},
           {"grpc", grpc == nullptr ? "" : grpc->address()},
           {"admin", admin == nullptr ? "" : admin->url()},
           {"state_dir", outside},
           {"isolation", isolation.description},
           {"limits", Describe(limits, options.isolation.tier == "microvm", cgroups)},
           {"network", Describe(network_stack)}});
  if (options.on_demand) {
    const nlohmann::json greeting = {{"url", http->url()},
                                     {"token", token},
                                     {"pid", getpid()},
                                     {"isolation", options.isolation.tier}};
    ASSIGN_OR_RETURN(
        control, ControlSocket::Open({.path = absl::StrCat(directory, "/control.sock"),
                                      .greeting = absl::StrCat(greeting.dump(), "\n"),
                                      .linger = options.linger,
                                      .is_busy = [&operations] { return operations.active() > 0; },
                                      .on_unneeded = [] { RequestTermination(); }}));
  }
  readiness.Tell("ready\n");
  WaitForTermination();
  is_ready = false;
  LogInfo("contree-local-backend drains");
  if (control != nullptr) control->Stop();
  operations.Stop(kDrainGrace);  // its watchers still get the end of what runs
  http->Stop();
  streamer->Stop();
  if (grpc != nullptr) grpc->Drain(absl::Seconds(1));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> Check(const LocalBackendOptions& options) {
  const std::string outside = absl::StrCat(options.state_dir, "/local-backend");
  if (access(outside.c_str(), F_OK) != 0) {
    return absl::NotFoundError(absl::StrCat("there is no ", outside, ": nothing to check"));
  }
  ASSIGN_OR_RETURN(const std::string directory, MakePrivateDirectory(outside));
  ASSIGN_OR_RETURN(const UniqueFd lock, Lock(directory));
  ASSIGN_OR_RETURN(const std::string inside, EnterPrivateNamespaces(directory));
  ASSIGN_OR_RETURN(const std::unique_ptr<ImageStore> images, ImageStore::Open(inside));
  ASSIGN_OR_RETURN(const std::unique_ptr<FileStore> files, FileStore::Open(inside));
  ASSIGN_OR_RETURN(const std::unique_ptr<OperationStore> operations, OperationStore::Open(inside));
  images->FinishBackgroundWork();
  ASSIGN_OR_RETURN(std::vector<std::string> complaints, images->Check());
  ASSIGN_OR_RETURN(const std::vector<std::string> of_files, files->Check());
  ASSIGN_OR_RETURN(const std::vector<std::string> of_operations, operations->Check());
  complaints.insert(complaints.end(), of_files.begin(), of_files.end());
  complaints.insert(complaints.end(), of_operations.begin(), of_operations.end());
  return complaints;
}

}  // namespace

int RunLocalBackend(const LocalBackendOptions& options) {
  Readiness readiness(options.ready_fd);
  const absl::Status status = Serve(options, readiness);
  if (status.ok()) return 0;
  LogError(status.message());
  readiness.Tell(
      absl::StrCat("error: ", absl::StrReplaceAll(status.message(), {{"\n", " "}}), "\n"));
  return absl::IsAlreadyExists(status) ? kLocalBackendIsRunning : 1;
}

int CheckLocalBackend(const LocalBackendOptions& options) {
  const absl::StatusOr<std::vector<std::string>> complaints = Check(options);
  if (!complaints.ok()) {
    std::cout << complaints.status().message() << std::endl;
    return absl::IsAlreadyExists(complaints.status()) ? kLocalBackendIsRunning : 1;
  }
  for (const std::string& complaint : *complaints) std::cout << complaint << "\n";
  std::cout << (complaints->empty() ? "nothing is wrong" : "something is wrong") << std::endl;
  return complaints->empty() ? 0 : 1;
}

}  // namespace contree
