#ifndef AUTH_SERVICE_STORE_CREDENTIAL_STORE_H_
#define AUTH_SERVICE_STORE_CREDENTIAL_STORE_H_

// Registry credentials at rest (auth.db): who has some for which registry is readable, everything
// about them is sealed, bound to tenant and registry. Thread-safe.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/registry/registry_credentials.h"
#include "common/secret/key_ring.h"
#include "common/sqlite/database.h"

namespace contree {

struct CredentialRecord {
  std::string registry;
  RegistryCredentials credentials;
  std::string version;  // another one each time that they are stored
  absl::Time stored_at;
};

class CredentialStore {
 public:
  // Opens or makes the database, and seals again, with the ring's first key, what an older one
  // sealed. FailedPrecondition: a newer version of the program wrote it. DataLoss: damaged.
  static absl::StatusOr<std::unique_ptr<CredentialStore>> Open(const std::string& path,
                                                               KeyRing keys);

  // In place of older ones of the registry.
  absl::Status Put(const std::string& tenant, const CredentialRecord& record);
  // nullopt: none. FailedPrecondition: sealed with a key that is gone. DataLoss: changed.
  absl::StatusOr<std::optional<CredentialRecord>> Find(const std::string& tenant,
                                                       const std::string& registry);
  // False: there were none.
  absl::StatusOr<bool> Delete(const std::string& tenant, const std::string& registry);
  // By registry. What cannot be opened any more is listed without a user name.
  absl::StatusOr<std::vector<CredentialRecord>> List(const std::string& tenant);

 private:
  CredentialStore(std::unique_ptr<sqlite::Database> database, KeyRing keys)
      : database_(std::move(database)), keys_(std::move(keys)) {}
  absl::Status SealAgain();

  const std::unique_ptr<sqlite::Database> database_;
  const KeyRing keys_;
};

}  // namespace contree

#endif  // AUTH_SERVICE_STORE_CREDENTIAL_STORE_H_
