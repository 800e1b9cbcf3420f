#include "auth-service/auth_service.h"

#include <sys/prctl.h>

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "auth-service/registry_auth_grpc_service.h"
#include "auth-service/registry_auth_handlers.h"
#include "auth-service/store/credential_store.h"
#include "common/files/state_directory.h"
#include "common/registry/registry_client.h"
#include "common/secret/key_ring.h"
#include "common/status/status_macros.h"
#include "common/time/clock.h"

namespace contree {
namespace {

class AssembledAuthService final : public AuthService {
 public:
  AssembledAuthService(std::unique_ptr<CredentialStore> store, const AuthServiceOptions& options)
      : store_(std::move(store)),
        transport_(options.network, &resolver_),
        tokens_(&transport_, &clock_),
        cache_(&clock_),
        client_(&transport_, &tokens_, &cache_, &clock_),
        handlers_(store_.get(), &client_, options.foreign, &clock_),
        grpc_service_(&handlers_) {}

  grpc::Service* grpc_service() override { return &grpc_service_; }

 private:
  RealClock clock_;
  SystemHostResolver resolver_;
  const std::unique_ptr<CredentialStore> store_;
  RegistryTransport transport_;
  TokenExchange tokens_;
  TokenCache cache_;
  RegistryClient client_;
  RegistryAuthHandlers handlers_;
  RegistryAuthGrpcService grpc_service_;
};

absl::StatusOr<KeyRing> Keys(const AuthServiceOptions& options, const std::string& own_key_file) {
  if (!options.key_file.empty()) {
    if (options.rotate_key) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the key file ", options.key_file,
          " is not ours to change: put a new key on its first line, start once, then remove the "
          "old one"));
    }
    return KeyRing::Load(options.key_file, /*must_be_private=*/false);
  }
  return KeyRing::LoadOrMake(own_key_file);
}

}  // namespace

void ProtectProcessMemory() {
#if !defined(__SANITIZE_ADDRESS__)  // whose leak check attaches to the process
  prctl(PR_SET_DUMPABLE, 0);
#endif
}

absl::StatusOr<std::unique_ptr<AuthService>> AuthService::Create(
    const AuthServiceOptions& options) {
  ASSIGN_OR_RETURN(const std::string directory, MakePrivateDirectory(options.state_dir));
  const std::string own_key_file = absl::StrCat(directory, "/auth.key");
  const std::string database = absl::StrCat(directory, "/auth.db");
  ASSIGN_OR_RETURN(KeyRing keys, Keys(options, own_key_file));
  if (options.rotate_key) {
    // Both keys are in the file until everything is sealed with the new one: stopping anywhere in
    // between loses nothing.
    ASSIGN_OR_RETURN(keys, keys.WithNewKey());
    RETURN_IF_ERROR(keys.Save(own_key_file));
  }
  ASSIGN_OR_RETURN(auto store, CredentialStore::Open(database, keys));
  if (options.rotate_key) RETURN_IF_ERROR(keys.WithFirstKeyOnly().Save(own_key_file));
  return std::make_unique<AssembledAuthService>(std::move(store), options);
}

}  // namespace contree
