#ifndef TESTS_HARNESS_OCI_IMAGE_H_
#define TESTS_HARNESS_OCI_IMAGE_H_

// Images that a test makes: layers entry by entry (also such as no tool would write), image layouts
// on disk. Thread-safe; a failure ends the program.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace contree::testing_harness {

struct TarEntry {
  enum class Kind { kFile, kDirectory, kSymlink, kHardLink, kFifo, kCharacterDevice };
  std::string path;
  Kind kind = Kind::kFile;
  std::string content = "";  // of a file
  std::string target = "";   // of a link
  uint32_t mode = 0644;
  int64_t uid = 0;
  int64_t gid = 0;
  int64_t modified = 1'700'000'000;  // seconds since 1970
  std::map<std::string, std::string> xattrs = {};
  uint32_t device_major = 0;
  uint32_t device_minor = 0;
};

enum class Packing { kPlain, kGzip, kZstd };

// A layer of these entries.
std::string MakeLayer(const std::vector<TarEntry>& entries, Packing packing = Packing::kGzip);

// /bin/busybox (the static one of this machine) with sh, cat, ls, id and true, and an /etc/motd.
std::vector<TarEntry> BusyboxEntries(absl::string_view motd = "hello\n");

struct LayerBlob {
  std::string bytes;
  Packing packing = Packing::kGzip;
};

// An image for one platform.
struct TestImage {
  std::vector<LayerBlob> layers;
  std::string architecture = "amd64";
  std::string os = "linux";
};

std::string Sha256DigestOf(absl::string_view bytes);  // "sha256:…"
// An OCI manifest over blobs as they are; `blobs` gets them all by digest, the configuration too.
std::string MakeManifest(const TestImage& image, std::map<std::string, std::string>& blobs);

// Makes an OCI image layout in the directory, which must not exist; its tag is "latest". More than
// one image: an index over them.
void WriteOciLayout(const std::string& directory, const std::vector<TestImage>& images);

}  // namespace contree::testing_harness

#endif  // TESTS_HARNESS_OCI_IMAGE_H_
