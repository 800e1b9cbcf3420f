#ifndef LOCAL_BACKEND_IMPORTER_IMAGE_MANIFEST_H_
#define LOCAL_BACKEND_IMPORTER_IMAGE_MANIFEST_H_

// What a registry says an image is: the manifests of OCI and of Docker (schema 2), single ones and
// indexes over several platforms. Thread-safe.

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace contree {

// "linux", "amd64", ""; as Go names them.
struct Platform {
  std::string os;
  std::string architecture;
  std::string variant = "";

  std::string ToText() const;  // "linux/arm64/v8"
};

// Of this machine.
Platform HostPlatform();

struct BlobDescriptor {
  std::string media_type;
  std::string digest;  // "sha256:…"; checked to be one
  int64_t size = 0;
};

struct ImageManifest {
  BlobDescriptor config;
  std::vector<BlobDescriptor> layers;  // the lowest first
};

// Points to the manifest of the platform.
struct ImageIndex {
  BlobDescriptor chosen;
};

// All kinds of manifest that this understands, for an Accept header.
std::string AcceptedManifestTypes();

// Reads a manifest, or chooses from an index the entry for `platform` (its variant where there is
// one, else any variant). InvalidArgument: damaged. NotFound: the index has no entry for the
// platform; the message lists those that it has. FailedPrecondition: of an old or unknown kind.
absl::StatusOr<std::variant<ImageManifest, ImageIndex>> ParseManifest(absl::string_view json,
                                                                      const Platform& platform);

// The platform that an image's configuration names; empty fields where it says nothing.
// InvalidArgument: damaged.
absl::StatusOr<Platform> PlatformOfConfig(absl::string_view json);

}  // namespace contree

#endif  // LOCAL_BACKEND_IMPORTER_IMAGE_MANIFEST_H_
