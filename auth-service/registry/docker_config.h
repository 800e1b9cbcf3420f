#ifndef AUTH_SERVICE_REGISTRY_DOCKER_CONFIG_H_
#define AUTH_SERVICE_REGISTRY_DOCKER_CONFIG_H_

// Credentials that other tools keep: Docker's config.json with its helpers, and Kubernetes pull
// secrets (kubernetes.io/dockerconfigjson). They are read each time and never copied. Thread-safe.

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/registry/registry_credentials.h"

namespace contree {

struct ForeignCredentials {
  std::string registry;
  RegistryCredentials credentials;
  std::string source;  // the file, and the helper if one was asked
};

struct ForeignSources {
  // Docker's config.json; empty: none is read.
  std::string docker_config = "";
  // Files of kubernetes.io/dockerconfigjson, or directories with a `.dockerconfigjson` in each
  // sub-directory or in themselves (a mounted Secret).
  std::vector<std::string> pull_secrets = {};

  // $DOCKER_CONFIG/config.json, else ~/.docker/config.json.
  static std::string DefaultDockerConfig();
};

// For one registry, the first of: auths of config.json, its helper for that registry, its helper
// for all, pull secrets in order. nullopt: none. A file or a helper that does not work is passed
// over with a warning in the log.
std::optional<ForeignCredentials> FindForeignCredentials(const ForeignSources& sources,
                                                         const std::string& registry);

// What the files list, without asking any helper, and without secrets.
std::vector<ForeignCredentials> ListForeignCredentials(const ForeignSources& sources);

}  // namespace contree

#endif  // AUTH_SERVICE_REGISTRY_DOCKER_CONFIG_H_
