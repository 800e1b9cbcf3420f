#include "local-backend/importer/image_manifest.h"

#include <sys/utsname.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status/status_macros.h"

namespace contree {
namespace {

using nlohmann::json;

constexpr char kOciIndex[] = "application/vnd.oci.image.index.v1+json";
constexpr char kOciManifest[] = "application/vnd.oci.image.manifest.v1+json";
constexpr char kDockerList[] = "application/vnd.docker.distribution.manifest.list.v2+json";
constexpr char kDockerManifest[] = "application/vnd.docker.distribution.manifest.v2+json";

constexpr size_t kMaxLayers = 400;
constexpr size_t kMaxPlatforms = 1000;

absl::Status Damaged(absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("the image's manifest is damaged: ", why));
}

std::string Text(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

bool IsSha256(absl::string_view digest) {
  constexpr size_t kHexadecimalDigits = 64;
  return absl::StartsWith(digest, "sha256:") && digest.size() == 7 + kHexadecimalDigits &&
         std::all_of(digest.begin() + 7, digest.end(),
                     [](char c) { return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f'); });
}

absl::StatusOr<BlobDescriptor> Descriptor(const json& object) {
  if (!object.is_object()) return Damaged("a descriptor is no object");
  BlobDescriptor descriptor = {.media_type = Text(object, "mediaType"),
                               .digest = Text(object, "digest")};
  if (!IsSha256(descriptor.digest)) return Damaged("a digest is not sha256");
  const auto size = object.find("size");
  if (size == object.end() || !size->is_number_integer() || size->get<int64_t>() < 0) {
    return Damaged("a size is no number");
  }
  descriptor.size = size->get<int64_t>();
  return descriptor;
}

Platform PlatformOf(const json& object) {
  return {.os = Text(object, "os"),
          .architecture = Text(object, "architecture"),
          .variant = Text(object, "variant")};
}

absl::StatusOr<ImageIndex> Choose(const json& index, const Platform& wanted) {
  const auto manifests = index.find("manifests");
  if (manifests == index.end() || !manifests->is_array() || manifests->size() > kMaxPlatforms) {
    return Damaged("the index has no list of manifests");
  }
  const json* chosen = nullptr;
  std::vector<std::string> offered;
  for (const json& entry : *manifests) {
    if (!entry.is_object() || !entry.contains("platform") || !entry["platform"].is_object()) {
      continue;
    }
    const Platform platform = PlatformOf(entry["platform"]);
    if (platform.os != "unknown") offered.push_back(platform.ToText());
    if (platform.os != wanted.os || platform.architecture != wanted.architecture) continue;
    // The first counts, unless a later one is exactly the wanted variant.
    if (chosen == nullptr || (!wanted.variant.empty() && platform.variant == wanted.variant &&
                              Text((*chosen)["platform"], "variant") != wanted.variant)) {
      chosen = &entry;
    }
  }
  if (chosen == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("the image is not made for ", wanted.ToText(),
                     ", which is what this machine runs; it is for ",
                     offered.empty() ? "no platform that it names" : absl::StrJoin(offered, ", ")));
  }
  ASSIGN_OR_RETURN(BlobDescriptor descriptor, Descriptor(*chosen));
  return ImageIndex{.chosen = std::move(descriptor)};
}

absl::StatusOr<ImageManifest> Single(const json& manifest) {
  ImageManifest image;
  const auto config = manifest.find("config");
  if (config == manifest.end()) return Damaged("it has no config");
  ASSIGN_OR_RETURN(image.config, Descriptor(*config));
  const auto layers = manifest.find("layers");
  if (layers == manifest.end() || !layers->is_array()) return Damaged("it has no layers");
  if (layers->size() > kMaxLayers) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the image has ", layers->size(), " layers; no more than ", kMaxLayers, " can be stacked"));
  }
  for (const json& layer : *layers) {
    ASSIGN_OR_RETURN(BlobDescriptor descriptor, Descriptor(layer));
    const bool is_tar = absl::StrContains(descriptor.media_type, ".tar") ||
                        absl::StrContains(descriptor.media_type, "diff.tar") ||
                        descriptor.media_type.empty();
    if (!is_tar || absl::StrContains(descriptor.media_type, "encrypted")) {
      return absl::FailedPreconditionError(
          absl::StrCat("the image has a layer of the kind ", descriptor.media_type.substr(0, 200),
                       "; only tar archives, plain or with gzip or zstd, are file systems"));
    }
    image.layers.push_back(std::move(descriptor));
  }
  if (image.layers.empty()) return Damaged("it has no layers");
  return image;
}

}  // namespace

std::string Platform::ToText() const {
  return absl::StrCat(os, "/", architecture, variant.empty() ? "" : "/", variant);
}

Platform HostPlatform() {
  utsname name = {};
  uname(&name);
  const std::string machine = name.machine;
  Platform platform = {.os = "linux", .architecture = machine};
  if (machine == "x86_64") platform.architecture = "amd64";
  if (machine == "aarch64") platform = {.os = "linux", .architecture = "arm64", .variant = "v8"};
  if (machine == "armv7l") platform = {.os = "linux", .architecture = "arm", .variant = "v7"};
  if (machine == "i686") platform.architecture = "386";
  return platform;
}

std::string AcceptedManifestTypes() {
  return absl::StrCat(kOciIndex, ", ", kOciManifest, ", ", kDockerList, ", ", kDockerManifest);
}

absl::StatusOr<std::variant<ImageManifest, ImageIndex>> ParseManifest(absl::string_view text,
                                                                      const Platform& platform) {
  const json manifest = json::parse(text.begin(), text.end(), nullptr, false);
  if (!manifest.is_object()) return Damaged("it is no JSON object");
  const auto version = manifest.find("schemaVersion");
  if (version == manifest.end() || *version != 2) {
    return absl::FailedPreconditionError(
        "the image's manifest is of an old kind (schema 1), which registries no longer take; push "
        "it again with a newer tool");
  }
  // By what is in it: the media type may be absent, and must not say something else.
  const std::string type = Text(manifest, "mediaType");
  if (manifest.contains("manifests")) {
    if (manifest.contains("layers")) return Damaged("it is a manifest and an index at once");
    if (!type.empty() && type != kOciIndex && type != kDockerList) {
      return Damaged("it holds an index and says that it is something else");
    }
    ASSIGN_OR_RETURN(ImageIndex index, Choose(manifest, platform));
    return std::variant<ImageManifest, ImageIndex>(std::move(index));
  }
  if (!type.empty() && type != kOciManifest && type != kDockerManifest) {
    return absl::FailedPreconditionError(
        absl::StrCat("the image's manifest is of the unknown kind ", type.substr(0, 200)));
  }
  ASSIGN_OR_RETURN(ImageManifest single, Single(manifest));
  return std::variant<ImageManifest, ImageIndex>(std::move(single));
}

absl::StatusOr<Platform> PlatformOfConfig(absl::string_view text) {
  const json config = json::parse(text.begin(), text.end(), nullptr, false);
  if (!config.is_object()) return Damaged("the configuration is no JSON object");
  return PlatformOf(config);
}

}  // namespace contree
