#ifndef COMMON_REGISTRY_REFERENCE_H_
#define COMMON_REGISTRY_REFERENCE_H_

// Names of images in OCI registries, as people and tools write them, and their one canonical form.
// Thread-safe.

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace contree {

// The registry that a name without one means.
inline constexpr char kDockerHub[] = "docker.io";

struct ImageReference {
  // Lower case, with a port unless it is 443: "docker.io", "localhost:5000", "[::1]:5000".
  std::string registry;
  std::string repository;  // "library/alpine"
  std::string tag;         // "latest"; empty where there is a digest
  std::string digest;      // "sha256:" and 64 hexadecimal digits, or sha512; empty: none

  // "docker://docker.io/library/alpine:latest"; parsing it gives the same reference again.
  std::string ToUrl() const;
  // The tag or the digest: what the registry's API calls the reference.
  const std::string& TagOrDigest() const { return digest.empty() ? tag : digest; }

  friend bool operator==(const ImageReference&, const ImageReference&) = default;
};

// Understands "alpine", "user/app:1", "ghcr.io/x/y@sha256:…", "localhost:5000/x", "[::1]:5000/x",
// the same behind "docker://", "oci://", "https://" or "http://", and pages of Docker Hub. A tag
// beside a digest is dropped, as Docker does. InvalidArgument: not a reference; the message says
// which part is wrong and how it should look.
absl::StatusOr<ImageReference> ParseImageReference(absl::string_view text);

// The registry of a reference, or of a registry's own address ("ghcr.io", "localhost:5000",
// "https://index.docker.io/v1/"). InvalidArgument: neither.
absl::StatusOr<std::string> ParseRegistry(absl::string_view text);

// "localhost:5000" → "localhost" and 5000; "[::1]" → "::1" and 0 (no port). Only for what the two
// functions above returned.
struct RegistryAddress {
  std::string host;  // IPv6 without brackets
  int port = 0;
};
RegistryAddress SplitRegistry(absl::string_view registry);

}  // namespace contree

#endif  // COMMON_REGISTRY_REFERENCE_H_
