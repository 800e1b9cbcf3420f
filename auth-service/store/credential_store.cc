#include "auth-service/store/credential_store.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/status/status_macros.h"
#include "common/telemetry/logging.h"

namespace contree {
namespace {

using nlohmann::json;
using sqlite::Connection;
using sqlite::Row;

// Appended to, never edited.
constexpr absl::string_view kMigrations[] = {
    R"sql(
      CREATE TABLE credential (
        tenant TEXT NOT NULL,
        registry TEXT NOT NULL,
        sealed BLOB NOT NULL,       -- JSON: username, secret, realm
        version TEXT NOT NULL,
        stored_at INTEGER NOT NULL, -- microseconds since 1970
        PRIMARY KEY (tenant, registry)
      ) WITHOUT ROWID;
    )sql",
};

// What a sealed row is bound to: it opens nowhere else. Lengths keep the two apart.
std::string Associated(absl::string_view tenant, absl::string_view registry) {
  return absl::StrCat("contree registry credential 1\n", tenant.size(), ":", tenant, "\n",
                      registry.size(), ":", registry);
}

SecretString Serialize(const RegistryCredentials& credentials) {
  json object = {{"username", credentials.username},
                 {"secret", std::string(credentials.secret.view())},
                 {"realm", credentials.realm}};
  SecretString text(object.dump(-1, ' ', false, json::error_handler_t::replace));
  Wipe(object["secret"].get_ref<std::string&>());
  return text;
}

absl::StatusOr<RegistryCredentials> Deserialize(const SecretString& text) {
  json object = json::parse(text.view().begin(), text.view().end(), nullptr, false);
  const auto is_text = [&object](const char* name) {
    return object.is_object() && object.contains(name) && object[name].is_string();
  };
  if (!is_text("username") || !is_text("secret") || !is_text("realm")) {
    return absl::DataLossError("a sealed secret holds something else than credentials");
  }
  RegistryCredentials credentials = {.username = object["username"].get<std::string>(),
                                     .realm = object["realm"].get<std::string>()};
  credentials.secret = SecretString(std::move(object["secret"].get_ref<std::string&>()));
  return credentials;
}

}  // namespace

absl::StatusOr<std::unique_ptr<CredentialStore>> CredentialStore::Open(const std::string& path,
                                                                       KeyRing keys) {
  ASSIGN_OR_RETURN(
      auto database,
      sqlite::Database::Open(
          {.path = path, .migrations = kMigrations, .durability = sqlite::Durability::kFull}));
  std::unique_ptr<CredentialStore> store(new CredentialStore(std::move(database), std::move(keys)));
  RETURN_IF_ERROR(store->SealAgain());
  return store;
}

absl::Status CredentialStore::SealAgain() {
  struct Stale {
    std::string tenant;
    std::string registry;
    std::string sealed;
  };
  return database_->Write([this](Connection& connection) -> absl::Status {
    std::vector<Stale> stale;
    RETURN_IF_ERROR(connection.Query(
        "SELECT tenant, registry, sealed FROM credential", {}, [&](const Row& row) {
          if (keys_.IsCurrent(row.Text(2))) return;
          stale.push_back(
              {.tenant = row.String(0), .registry = row.String(1), .sealed = row.String(2)});
        }));
    for (const Stale& row : stale) {
      const std::string associated = Associated(row.tenant, row.registry);
      const absl::StatusOr<SecretString> plain = keys_.Open(row.sealed, associated);
      if (!plain.ok()) {
        // Whoever needs them is told; the others' must work.
        LogWarning("credentials cannot be opened",
                   {{"tenant", row.tenant},
                    {"registry", row.registry},
                    {"error", std::string(plain.status().message())}});
        continue;
      }
      ASSIGN_OR_RETURN(const std::string sealed, keys_.Seal(plain->view(), associated));
      RETURN_IF_ERROR(
          connection
              .Execute("UPDATE credential SET sealed = ? WHERE tenant = ? AND registry = ?",
                       {sqlite::Blob{sealed}, row.tenant, row.registry})
              .status());
    }
    return absl::OkStatus();
  });
}

absl::Status CredentialStore::Put(const std::string& tenant, const CredentialRecord& record) {
  const SecretString plain = Serialize(record.credentials);
  ASSIGN_OR_RETURN(const std::string sealed,
                   keys_.Seal(plain.view(), Associated(tenant, record.registry)));
  return database_->Write([&](Connection& connection) {
    return connection
        .Execute(
            "INSERT INTO credential (tenant, registry, sealed, version, stored_at) "
            "VALUES (?, ?, ?, ?, ?) ON CONFLICT (tenant, registry) DO UPDATE SET "
            "sealed = excluded.sealed, version = excluded.version, stored_at = excluded.stored_at",
            {tenant, record.registry, sqlite::Blob{sealed}, record.version,
             absl::ToUnixMicros(record.stored_at)})
        .status();
  });
}

absl::StatusOr<std::optional<CredentialRecord>> CredentialStore::Find(const std::string& tenant,
                                                                      const std::string& registry) {
  std::optional<CredentialRecord> record;
  std::string sealed;
  RETURN_IF_ERROR(database_->Read([&](Connection& connection) {
    return connection.Query(
        "SELECT sealed, version, stored_at FROM credential WHERE tenant = ? AND registry = ?",
        {tenant, registry}, [&](const Row& row) {
          sealed = row.String(0);
          record = {.registry = registry,
                    .credentials = {},
                    .version = row.String(1),
                    .stored_at = absl::FromUnixMicros(row.Int(2))};
        });
  }));
  if (!record.has_value()) return record;
  const absl::StatusOr<SecretString> plain = keys_.Open(sealed, Associated(tenant, registry));
  if (!plain.ok()) {
    return absl::Status(plain.status().code(), absl::StrCat("the credentials of ", registry, ": ",
                                                            plain.status().message()));
  }
  ASSIGN_OR_RETURN(record->credentials, Deserialize(*plain));
  return record;
}

absl::StatusOr<bool> CredentialStore::Delete(const std::string& tenant,
                                             const std::string& registry) {
  int64_t deleted = 0;
  RETURN_IF_ERROR(database_->Write([&](Connection& connection) -> absl::Status {
    ASSIGN_OR_RETURN(deleted,
                     connection.Execute("DELETE FROM credential WHERE tenant = ? AND registry = ?",
                                        {tenant, registry}));
    return absl::OkStatus();
  }));
  return deleted > 0;
}

absl::StatusOr<std::vector<CredentialRecord>> CredentialStore::List(const std::string& tenant) {
  std::vector<CredentialRecord> records;
  RETURN_IF_ERROR(database_->Read([&](Connection& connection) {
    return connection.Query(
        "SELECT registry, sealed, version, stored_at FROM credential WHERE tenant = ? "
        "ORDER BY registry",
        {tenant}, [&](const Row& row) {
          CredentialRecord record = {.registry = row.String(0),
                                     .credentials = {},
                                     .version = row.String(2),
                                     .stored_at = absl::FromUnixMicros(row.Int(3))};
          const absl::StatusOr<SecretString> plain =
              keys_.Open(row.Text(1), Associated(tenant, record.registry));
          if (plain.ok()) {
            absl::StatusOr<RegistryCredentials> opened = Deserialize(*plain);
            if (opened.ok()) record.credentials.username = opened->username;
          }
          records.push_back(std::move(record));
        });
  }));
  return records;
}

}  // namespace contree
