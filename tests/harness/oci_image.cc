#include "tests/harness/oci_image.h"

#include <archive.h>
#include <archive_entry.h>
#include <openssl/sha.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace contree::testing_harness {
namespace {

using nlohmann::json;

constexpr char kBusybox[] = "/bin/busybox";

void Require(bool ok, absl::string_view what) {
  if (ok) return;
  std::cerr << "making an image: " << what << std::endl;
  std::abort();
}

la_ssize_t Append(archive*, void* text, const void* bytes, size_t size) {
  static_cast<std::string*>(text)->append(static_cast<const char*>(bytes), size);
  return static_cast<la_ssize_t>(size);
}

const char* MediaTypeOf(Packing packing) {
  switch (packing) {
    case Packing::kPlain:
      return "application/vnd.oci.image.layer.v1.tar";
    case Packing::kGzip:
      return "application/vnd.oci.image.layer.v1.tar+gzip";
    case Packing::kZstd:
      return "application/vnd.oci.image.layer.v1.tar+zstd";
  }
  return "";
}

void WriteFile(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
  Require(std::filesystem::file_size(path) == content.size(), path);
}

json Descriptor(const char* media_type, const std::string& blob) {
  return {{"mediaType", media_type}, {"digest", Sha256DigestOf(blob)}, {"size", blob.size()}};
}

}  // namespace

std::string Sha256DigestOf(absl::string_view bytes) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest);
  return absl::StrCat("sha256:", absl::BytesToHexString(absl::string_view(
                                     reinterpret_cast<const char*>(digest), sizeof digest)));
}

std::string MakeLayer(const std::vector<TarEntry>& entries, Packing packing) {
  std::string bytes;
  const std::unique_ptr<archive, int (*)(archive*)> writer(archive_write_new(), archive_write_free);
  archive_write_set_format_pax_restricted(writer.get());
  if (packing == Packing::kGzip) archive_write_add_filter_gzip(writer.get());
  if (packing == Packing::kZstd) archive_write_add_filter_zstd(writer.get());
  archive_write_set_bytes_in_last_block(writer.get(), 1);
  Require(archive_write_open(writer.get(), &bytes, nullptr, Append, nullptr) == ARCHIVE_OK, "open");
  for (const TarEntry& entry : entries) {
    const std::unique_ptr<archive_entry, void (*)(archive_entry*)> header(archive_entry_new(),
                                                                          archive_entry_free);
    archive_entry_set_pathname(header.get(), entry.path.c_str());
    archive_entry_set_perm(header.get(), entry.mode);
    archive_entry_set_uid(header.get(), entry.uid);
    archive_entry_set_gid(header.get(), entry.gid);
    archive_entry_set_mtime(header.get(), entry.modified, 0);
    archive_entry_set_size(header.get(), static_cast<la_int64_t>(entry.content.size()));
    for (const auto& [name, value] : entry.xattrs) {
      archive_entry_xattr_add_entry(header.get(), name.c_str(), value.data(), value.size());
    }
    switch (entry.kind) {
      case TarEntry::Kind::kFile:
        archive_entry_set_filetype(header.get(), AE_IFREG);
        break;
      case TarEntry::Kind::kDirectory:
        archive_entry_set_filetype(header.get(), AE_IFDIR);
        break;
      case TarEntry::Kind::kSymlink:
        archive_entry_set_filetype(header.get(), AE_IFLNK);
        archive_entry_set_symlink(header.get(), entry.target.c_str());
        break;
      case TarEntry::Kind::kHardLink:
        archive_entry_set_filetype(header.get(), AE_IFREG);
        archive_entry_set_hardlink(header.get(), entry.target.c_str());
        archive_entry_set_size(header.get(), 0);
        break;
      case TarEntry::Kind::kFifo:
        archive_entry_set_filetype(header.get(), AE_IFIFO);
        break;
      case TarEntry::Kind::kCharacterDevice:
        archive_entry_set_filetype(header.get(), AE_IFCHR);
        archive_entry_set_rdevmajor(header.get(), entry.device_major);
        archive_entry_set_rdevminor(header.get(), entry.device_minor);
        break;
    }
    Require(archive_write_header(writer.get(), header.get()) == ARCHIVE_OK, entry.path);
    if (entry.kind == TarEntry::Kind::kFile) {
      archive_write_data(writer.get(), entry.content.data(), entry.content.size());
    }
  }
  Require(archive_write_close(writer.get()) == ARCHIVE_OK, "close");
  return bytes;
}

std::vector<TarEntry> BusyboxEntries(absl::string_view motd) {
  static const std::string* const busybox = [] {
    std::stringstream content;
    content << std::ifstream(kBusybox, std::ios::binary).rdbuf();
    return new std::string(content.str());
  }();
  Require(!busybox->empty(), "busybox-static is not installed");
  std::vector<TarEntry> entries = {
      {.path = "bin/", .kind = TarEntry::Kind::kDirectory, .mode = 0755},
      {.path = "bin/busybox", .content = *busybox, .mode = 0755},
      {.path = "etc/motd", .content = std::string(motd)},
      {.path = "tmp/", .kind = TarEntry::Kind::kDirectory, .mode = 01777}};
  for (const char* name : {"sh", "cat", "ls", "id", "true", "stat"}) {
    entries.push_back({.path = absl::StrCat("bin/", name),
                       .kind = TarEntry::Kind::kSymlink,
                       .target = "busybox"});
  }
  return entries;
}

std::string MakeManifest(const TestImage& image, std::map<std::string, std::string>& blobs) {
  json layers = json::array();
  for (const LayerBlob& layer : image.layers) {
    layers.push_back(Descriptor(MediaTypeOf(layer.packing), layer.bytes));
    blobs[Sha256DigestOf(layer.bytes)] = layer.bytes;
  }
  json diff_ids = json::array();
  for (const LayerBlob& layer : image.layers) diff_ids.push_back(Sha256DigestOf(layer.bytes));
  const std::string config = json({{"architecture", image.architecture},
                                   {"os", image.os},
                                   {"config", json::object()},
                                   {"rootfs", {{"type", "layers"}, {"diff_ids", diff_ids}}}})
                                 .dump();
  blobs[Sha256DigestOf(config)] = config;
  return json({{"schemaVersion", 2},
               {"mediaType", "application/vnd.oci.image.manifest.v1+json"},
               {"config", Descriptor("application/vnd.oci.image.config.v1+json", config)},
               {"layers", layers}})
      .dump();
}

void WriteOciLayout(const std::string& directory, const std::vector<TestImage>& images) {
  const std::string blob_directory = absl::StrCat(directory, "/blobs/sha256");
  std::filesystem::create_directories(blob_directory);
  std::map<std::string, std::string> blobs;
  json manifests = json::array();
  for (const TestImage& image : images) {
    const std::string manifest = MakeManifest(image, blobs);
    blobs[Sha256DigestOf(manifest)] = manifest;
    json descriptor = Descriptor("application/vnd.oci.image.manifest.v1+json", manifest);
    descriptor["platform"] = {{"os", image.os}, {"architecture", image.architecture}};
    manifests.push_back(descriptor);
  }
  json top = manifests[0];
  if (images.size() > 1) {
    const std::string index = json({{"schemaVersion", 2},
                                    {"mediaType", "application/vnd.oci.image.index.v1+json"},
                                    {"manifests", manifests}})
                                  .dump();
    blobs[Sha256DigestOf(index)] = index;
    top = Descriptor("application/vnd.oci.image.index.v1+json", index);
  }
  top["annotations"] = {{"org.opencontainers.image.ref.name", "latest"}};
  for (const auto& [digest, blob] : blobs) {
    WriteFile(absl::StrCat(blob_directory, "/", digest.substr(sizeof("sha256:") - 1)), blob);
  }
  WriteFile(absl::StrCat(directory, "/oci-layout"), R"({"imageLayoutVersion":"1.0.0"})");
  WriteFile(absl::StrCat(directory, "/index.json"),
            json({{"schemaVersion", 2}, {"manifests", {top}}}).dump());
}

}  // namespace contree::testing_harness
