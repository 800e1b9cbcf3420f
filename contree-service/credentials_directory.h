#ifndef CONTREE_SERVICE_CREDENTIALS_DIRECTORY_H_
#define CONTREE_SERVICE_CREDENTIALS_DIRECTORY_H_

// Which ConTree API each tenant uses, from a directory of files (a mounted secret):
//
//   DIR/TENANT.json   {"url": "https://…", "token": "…", "project": "…"}
//
// "project" may be left out, and "token" where the API is on this machine. A file is read again
// when it has changed, with the next call; one that is removed ends its tenant's calls. What is in
// the files never leaves this service.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "contree-service/api_endpoint.h"

namespace contree {

// Thread-safe.
class CredentialsDirectory final : public ApiEndpointSource {
 public:
  // NotFound: there is no such directory. InvalidArgument: a file in it has the name of no tenant
  // or is of another form; the message names the file, never what is in it.
  static absl::StatusOr<std::unique_ptr<CredentialsDirectory>> Open(const std::string& directory);

  // Unauthenticated: there is no file for the tenant. FailedPrecondition: it cannot be used.
  absl::StatusOr<ApiEndpoint> EndpointFor(const CallContext& context) override;

 private:
  // What changes when a file does.
  struct Version {
    uint64_t device = 0;
    uint64_t inode = 0;
    int64_t size = 0;
    int64_t modified_ns = 0;
    int64_t changed_ns = 0;
    friend bool operator==(const Version&, const Version&) = default;
  };
  struct Known {
    Version version;
    absl::StatusOr<ApiEndpoint> endpoint;
  };

  explicit CredentialsDirectory(std::string directory) : directory_(std::move(directory)) {}
  static absl::StatusOr<Version> Look(const std::string& path);
  static absl::StatusOr<ApiEndpoint> Read(const std::string& path);

  const std::string directory_;
  absl::Mutex mutex_;
  absl::flat_hash_map<std::string, Known> known_ ABSL_GUARDED_BY(mutex_);  // by the tenant
};

}  // namespace contree

#endif  // CONTREE_SERVICE_CREDENTIALS_DIRECTORY_H_
