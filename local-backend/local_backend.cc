#include "local-backend/local_backend.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
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
#include "local-backend/sandbox/isolation_probe.h"
#include "local-backend/sandbox/user_namespace.h"

namespace contree {
namespace {

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
  ASSIGN_OR_RETURN(const std::string directory, EnterPrivateNamespaces(outside));

  const std::string mount_point = absl::StrCat(directory, "/mountpoint");
  if (mkdir(mount_point.c_str(), 0755) != 0 && errno != EEXIST) {
    return absl::ErrnoToStatus(errno, "cannot make the mount point of sandboxes");
  }
  ASSIGN_OR_RETURN(
      const std::unique_ptr<SandboxLauncher> launcher,
      SandboxLauncher::Create({.bubblewrap = options.bubblewrap, .mount_point = mount_point}));
  ASSIGN_OR_RETURN(const std::unique_ptr<ImageStore> images, ImageStore::Open(directory));
  RETURN_IF_ERROR(ProbeIsolation(*launcher, directory, images->empty_directory()));
  if (const absl::Status seeded = images->Seed(kBusybox); !seeded.ok()) {
    LogWarning("there is no first image", {{"error", std::string(seeded.message())}});
  }
  ImageImporter importer({.insecure_registries = options.insecure_registries,
                          .private_registries = options.private_registries},
                         images.get());
  ASSIGN_OR_RETURN(const std::unique_ptr<FileStore> files, FileStore::Open(directory));
  ASSIGN_OR_RETURN(const std::unique_ptr<OperationStore> store, OperationStore::Open(directory));

  if (keys.has_value()) keys->Follow();
  std::unique_ptr<ControlSocket> control;  // before `operations`, which calls it until it is gone
  const int max_concurrent =
      options.max_concurrent > 0 ? options.max_concurrent : DefaultConcurrency();
  Operations operations({.max_concurrent = max_concurrent,
                         .max_concurrent_jobs = kMaxConcurrentImports,
                         .bounds = {.operations = options.max_queued},
                         .on_idle =
                             [&control] {
                               if (control != nullptr) control->OnIdle();
                             }},
                        *images, *launcher, *store);
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
                          .max_concurrent = max_concurrent,
                          .max_concurrent_imports = kMaxConcurrentImports})));
  std::unique_ptr<GrpcServer> grpc;
  if (!options.grpc_listen.empty()) {
    ASSIGN_OR_RETURN(grpc, GrpcServer::Start({.listen = options.grpc_listen}, {}));
  }
  LogInfo("contree-local-backend serves", {{"http", http->url()},
                                           {"grpc", grpc == nullptr ? "" : grpc->address()},
                                           {"state_dir", outside},
                                           {"isolation", "user namespace, bubblewrap, seccomp"}});
  if (options.on_demand) {
    const nlohmann::json greeting = {{"url", http->url()}, {"token", token}, {"pid", getpid()}};
    ASSIGN_OR_RETURN(
        control, ControlSocket::Open({.path = absl::StrCat(directory, "/control.sock"),
                                      .greeting = absl::StrCat(greeting.dump(), "\n"),
                                      .linger = options.linger,
                                      .is_busy = [&operations] { return operations.active() > 0; },
                                      .on_unneeded = [] { RequestTermination(); }}));
  }
  readiness.Tell("ready\n");
  WaitForTermination();
  LogInfo("contree-local-backend drains");
  if (control != nullptr) control->Stop();
  operations.Stop(kDrainGrace);  // its watchers still get the end of what runs
  http->Stop();
  streamer->Stop();
  if (grpc != nullptr) grpc->Drain(absl::Seconds(1));
  return absl::OkStatus();
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

}  // namespace contree
