#ifndef AUTH_SERVICE_AUTH_SERVICE_H_
#define AUTH_SERVICE_AUTH_SERVICE_H_

// auth-service as a part: the sealed store, the client of registries and the gRPC service, without
// a server. Thread-safe. Whoever makes it runs grpc_service() in a server of his own, drains that,
// and destroys this last.

#include <grpcpp/impl/codegen/service_type.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "auth-service/registry/docker_config.h"
#include "common/registry/registry_transport.h"

namespace contree {

struct AuthServiceOptions {
  std::string state_dir =
      "";  // auth.db and, unless key_file is given, auth.key; made 0700 if missing
  // The key file to seal with (a mounted secret): only read. Empty: state_dir + "/auth.key", made
  // at the first start.
  std::string key_file = "";
  // Makes a new key in state_dir + "/auth.key", seals everything with it, and forgets the old one.
  bool rotate_key = false;
  ForeignSources foreign = {};
  RegistryNetworkOptions network = {};
};

// Keeps this process's memory out of core dumps and out of reach of other processes of the same
// user, credentials being in it. Children that are started later are as they always were.
void ProtectProcessMemory();

class AuthService {
 public:
  // FailedPrecondition: a newer version wrote the store; rotate_key with a key_file. DataLoss: the
  // store is damaged. InvalidArgument, NotFound, PermissionDenied: the key file cannot be used.
  static absl::StatusOr<std::unique_ptr<AuthService>> Create(const AuthServiceOptions& options);
  virtual ~AuthService() = default;

  virtual grpc::Service* grpc_service() = 0;
};

}  // namespace contree

#endif  // AUTH_SERVICE_AUTH_SERVICE_H_
