#include "auth-service/registry_auth_handlers.h"

#include <openssl/sha.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "auth-service/registry/token_page.h"
#include "common/registry/reference.h"
#include "common/status/status_macros.h"
#include "common/telemetry/logging.h"
#include "common/uuid/uuid.h"

namespace contree {
namespace {

using namespace auth::v1;  // NOLINT: the requests and responses

constexpr size_t kMaxSecret = 64 * 1024;
constexpr size_t kMaxUsername = 1024;
// Asking a registry must not use all the time that an import's caller has.
constexpr absl::Duration kMaxAsking = absl::Seconds(60);

CallContext Bounded(const CallContext& context, absl::Time now) {
  CallContext bounded = context;
  bounded.deadline = std::min(context.deadline, now + kMaxAsking);
  return bounded;
}

absl::Status CheckGiven(const std::string& username, const std::string& secret) {
  if (secret.empty()) return absl::InvalidArgumentError("token is empty: give a token or password");
  if (secret.size() > kMaxSecret) {
    return absl::InvalidArgumentError(
        absl::StrCat("token has ", secret.size(), " bytes; at most ", kMaxSecret, " are taken"));
  }
  const auto is_control = [](char c) { return absl::ascii_iscntrl(c); };
  if (std::any_of(username.begin(), username.end(), is_control) ||
      username.find(':') != std::string::npos || username.size() > kMaxUsername) {
    return absl::InvalidArgumentError(
        "username must be a registry's user name, without a colon or control characters");
  }
  return absl::OkStatus();
}

// What was pasted with a line's end.
std::string Trimmed(const std::string& secret) {
  const absl::string_view trimmed = absl::StripAsciiWhitespace(secret);
  return std::string(trimmed);
}

absl::Status NoCredentials(const std::string& registry) {
  return absl::NotFoundError(absl::StrCat(
      "there are no credentials for ", registry,
      ". Either get some: registry_token_obtain says where they are made, registry_auth takes "
      "them. Or go on without, where the image is public: call import_image again with "
      "i_accept_that_anonymous_access_might_be_rate_limited=true"));
}

}  // namespace

RegistryAuthHandlers::RegistryAuthHandlers(CredentialStore* store, RegistryClient* client,
                                           ForeignSources foreign, Clock* clock)
    : store_(store),
      client_(client),
      foreign_(std::move(foreign)),
      clock_(clock),
      salt_(NewUuidV4()) {}

absl::StatusOr<GetTokenPageResponse> RegistryAuthHandlers::GetTokenPage(
    const GetTokenPageRequest& request, const CallContext& /*context*/) {
  ASSIGN_OR_RETURN(const std::string registry, ParseRegistry(request.registry_url()));
  const TokenPage page = TokenPageOf(registry);
  GetTokenPageResponse response;
  response.set_registry(registry);
  response.set_url(page.url);
  response.set_instruction(page.instruction);
  return response;
}

absl::StatusOr<StoreCredentialsResponse> RegistryAuthHandlers::StoreCredentials(
    const StoreCredentialsRequest& request, const CallContext& context) {
  ASSIGN_OR_RETURN(const std::string registry, ParseRegistry(request.registry_url()));
  CredentialRecord record = {.registry = registry,
                             .credentials = {.username = request.username()},
                             .version = NewUuidV4(),
                             .stored_at = clock_->Now()};
  record.credentials.secret = SecretString(Trimmed(request.token()));
  RETURN_IF_ERROR(CheckGiven(request.username(), request.token()));
  ASSIGN_OR_RETURN(record.credentials.realm, client_->Validate(registry, record.credentials,
                                                               Bounded(context, clock_->Now())));
  RETURN_IF_ERROR(store_->Put(context.tenant, record));
  client_->cache().DropAll(context.tenant, registry);
  StoreCredentialsResponse response;
  response.set_registry(registry);
  response.set_realm(record.credentials.realm);
  return response;
}

absl::StatusOr<DeleteCredentialsResponse> RegistryAuthHandlers::DeleteCredentials(
    const DeleteCredentialsRequest& request, const CallContext& context) {
  ASSIGN_OR_RETURN(const std::string registry, ParseRegistry(request.registry_url()));
  ASSIGN_OR_RETURN(const bool deleted, store_->Delete(context.tenant, registry));
  client_->cache().DropAll(context.tenant, registry);
  DeleteCredentialsResponse response;
  response.set_deleted(deleted);
  return response;
}

absl::StatusOr<ListCredentialsResponse> RegistryAuthHandlers::ListCredentials(
    const ListCredentialsRequest& /*request*/, const CallContext& context) {
  ASSIGN_OR_RETURN(const std::vector<CredentialRecord> stored, store_->List(context.tenant));
  ListCredentialsResponse response;
  for (const CredentialRecord& record : stored) {
    auto* entry = response.add_credentials();
    entry->set_registry(record.registry);
    entry->set_username(record.credentials.username);
    entry->set_source("stored");
    const timespec time = absl::ToTimespec(record.stored_at);
    entry->mutable_stored_at()->set_seconds(time.tv_sec);
    entry->mutable_stored_at()->set_nanos(static_cast<int32_t>(time.tv_nsec));
  }
  if (context.tenant != kLocalTenant) return response;
  for (const ForeignCredentials& foreign : ListForeignCredentials(foreign_)) {
    auto* entry = response.add_credentials();
    entry->set_registry(foreign.registry);
    entry->set_username(foreign.credentials.username);
    entry->set_source(foreign.source);
  }
  return response;
}

absl::StatusOr<std::optional<RegistryAccess>> RegistryAuthHandlers::AccessTo(
    const std::string& registry, const CallContext& context) {
  ASSIGN_OR_RETURN(std::optional<CredentialRecord> stored, store_->Find(context.tenant, registry));
  if (stored.has_value()) {
    return std::optional<RegistryAccess>(
        {.credentials = std::move(stored->credentials), .credential_version = stored->version});
  }
  // Files of the person at this desk; nobody else's business.
  if (context.tenant != kLocalTenant) return std::nullopt;
  std::optional<ForeignCredentials> foreign = FindForeignCredentials(foreign_, registry);
  if (!foreign.has_value()) return std::nullopt;
  LogDebug("credentials of another tool are used",
           {{"registry", registry}, {"source", foreign->source}});
  std::string text = absl::StrCat(salt_, "\n", foreign->credentials.username, "\n",
                                  foreign->credentials.secret.view());
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  Wipe(text);
  return std::optional<RegistryAccess>(
      {.credentials = std::move(foreign->credentials),
       .credential_version = absl::BytesToHexString(
           absl::string_view(reinterpret_cast<const char*>(digest), sizeof digest))});
}

absl::StatusOr<ResolveImportResponse> RegistryAuthHandlers::ResolveImport(
    const ResolveImportRequest& request, const CallContext& context) {
  ASSIGN_OR_RETURN(const ImageReference reference, ParseImageReference(request.reference()));
  ASSIGN_OR_RETURN(const std::optional<RegistryAccess> access,
                   AccessTo(reference.registry, context));
  if (!access.has_value() && !request.allow_anonymous()) return NoCredentials(reference.registry);
  ResolveImportResponse response;
  response.set_normalized_url(reference.ToUrl());
  response.set_registry(reference.registry);
  // Without credentials there is nothing to find out beforehand: whoever imports will see.
  if (!access.has_value()) return response;
  RETURN_IF_ERROR(client_->AuthorizePull(reference, *access, Bounded(context, clock_->Now())));
  const RegistryCredentials& credentials = access->credentials;
  response.set_username(credentials.IsIdentityToken() ? "<token>" : credentials.username);
  response.set_password(std::string(credentials.secret.view()));
  response.set_realm(credentials.realm);
  return response;
}

}  // namespace contree
