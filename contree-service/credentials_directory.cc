#include "contree-service/credentials_directory.h"

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/auth/identity.h"
#include "common/files/state_directory.h"
#include "common/http/base_url.h"
#include "common/secret/secret_string.h"
#include "common/status/status_macros.h"
#include "common/telemetry/logging.h"
#include "contree-service/configured_endpoint.h"

namespace contree {
namespace {

using nlohmann::json;

constexpr size_t kMaxFileBytes = 64 << 10;
constexpr char kSuffix[] = ".json";

int64_t Nanoseconds(const timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

// "" where it is absent. InvalidArgument: it is no string.
absl::StatusOr<std::string> Member(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) return "";
  if (!found->is_string()) {
    return absl::InvalidArgumentError(absl::StrCat("\"", name, "\" must be a string"));
  }
  return found->get<std::string>();
}

}  // namespace

absl::StatusOr<std::unique_ptr<CredentialsDirectory>> CredentialsDirectory::Open(
    const std::string& directory) {
  std::error_code error;
  std::filesystem::directory_iterator files(directory, error);
  if (error) {
    return absl::NotFoundError(
        absl::StrCat("--credentials-dir ", directory, " cannot be read: ", error.message()));
  }
  std::unique_ptr<CredentialsDirectory> source(new CredentialsDirectory(directory));
  for (; files != std::filesystem::directory_iterator(); files.increment(error)) {
    const std::string name = files->path().filename().string();
    absl::string_view tenant = name;
    // A mounted secret has links of its own, whose names begin so.
    if (name.front() == '.' || !absl::ConsumeSuffix(&tenant, kSuffix)) continue;
    absl::Status status = absl::OkStatus();
    if (!IsTenantName(tenant)) {
      status = absl::InvalidArgumentError(
          "a tenant is named by letters, digits, - _ and . (not first), at most 128");
    } else {
      status = Read(files->path().string()).status();
    }
    if (!status.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(files->path().string(), ": ", status.message()));
    }
  }
  return source;
}

absl::StatusOr<CredentialsDirectory::Version> CredentialsDirectory::Look(const std::string& path) {
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0) return absl::ErrnoToStatus(errno, "stat");
  return Version{.device = info.st_dev,
                 .inode = info.st_ino,
                 .size = info.st_size,
                 .modified_ns = Nanoseconds(info.st_mtim),
                 .changed_ns = Nanoseconds(info.st_ctim)};
}

absl::StatusOr<ApiEndpoint> CredentialsDirectory::Read(const std::string& path) {
  ASSIGN_OR_RETURN(std::string text, ReadFile(path, kMaxFileBytes));
  const json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  Wipe(text);
  if (!object.is_object()) {
    return absl::InvalidArgumentError("it must hold one JSON object: url, token and project");
  }
  ApiEndpoint endpoint;
  ASSIGN_OR_RETURN(endpoint.base_url, Member(object, "url"));
  ASSIGN_OR_RETURN(endpoint.token, Member(object, "token"));
  ASSIGN_OR_RETURN(endpoint.project, Member(object, "project"));
  if (!ParseBaseUrl(endpoint.base_url).ok()) {
    return absl::InvalidArgumentError("\"url\" must look like https://HOST[:PORT][/PREFIX]");
  }
  RETURN_IF_ERROR(CheckEndpoint(endpoint));
  return endpoint;
}

absl::StatusOr<ApiEndpoint> CredentialsDirectory::EndpointFor(const CallContext& context) {
  const auto unknown = [&context] {
    return absl::UnauthenticatedError(
        absl::StrCat("there are no credentials for the tenant '", context.tenant,
                     "' here: whoever runs contree-service adds them to its --credentials-dir"));
  };
  if (!IsTenantName(context.tenant)) return unknown();
  const std::string path = absl::StrCat(directory_, "/", context.tenant, kSuffix);
  const absl::StatusOr<Version> version = Look(path);
  if (!version.ok()) {
    const absl::MutexLock lock(&mutex_);
    known_.erase(context.tenant);
    return unknown();
  }
  {
    const absl::MutexLock lock(&mutex_);
    const auto known = known_.find(context.tenant);
    if (known != known_.end() && known->second.version == *version) return known->second.endpoint;
  }
  absl::StatusOr<ApiEndpoint> endpoint = Read(path);
  if (!endpoint.ok()) {
    LogError("the credentials of a tenant cannot be used",
             {{"tenant", context.tenant}, {"error", std::string(endpoint.status().message())}});
    endpoint = absl::FailedPreconditionError(
        absl::StrCat("the credentials of the tenant '", context.tenant,
                     "' cannot be used; contree-service's log says why"));
  }
  const absl::MutexLock lock(&mutex_);
  known_.insert_or_assign(context.tenant, Known{.version = *version, .endpoint = endpoint});
  return endpoint;
}

}  // namespace contree
