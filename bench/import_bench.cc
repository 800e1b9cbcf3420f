// How long import_image takes, through MCP on stdio, from Debian's docker-registry on loopback with
// token authentication: an image of about the size of Debian's base (files of this machine, always
// the same ones), when nothing of it is here, when its layers are, and how often the token server
// is asked. Beside it stands `skopeo copy` of the same image in the same run, which only downloads:
// it unpacks nothing.
//
//   import_bench PROGRAM [ROUNDS]

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "bench/measurement.h"
#include "common/status/status_macros.h"
#include "common/testing/temp_directory.h"
#include "standalone/mcp_stdio_client.h"
#include "tests/harness/oci_image.h"
#include "tests/harness/test_registry.h"

namespace contree {
namespace {

using bench::Distribution;
using bench::DistributionOf;
using bench::PrintFigure;
using bench::PrintTimes;
using bench::TimeOfProcess;
using nlohmann::json;
using standalone::McpStdioClient;
using testing_harness::kPassword;
using testing_harness::kUser;
using testing_harness::LayerBlob;
using testing_harness::MakeLayer;
using testing_harness::Sha256DigestOf;
using testing_harness::TarEntry;
using testing_harness::TestRegistry;
using testing_harness::TestRegistryOptions;

constexpr absl::Duration kTimeout = absl::Seconds(300);
constexpr size_t kUnpackedBytes = 164'000'000;
constexpr size_t kLargestFile = 16'000'000;

// Regular files below /usr, in an order that their names decide, until they have kUnpackedBytes:
// programs, libraries, documentation and data in the mixture that this machine has, as a Debian
// base image does.
std::vector<TarEntry> BaseEntries() {
  std::vector<std::pair<std::string, std::filesystem::path>> files;
  std::error_code error;
  for (const char* top : {"/usr/bin", "/usr/lib", "/usr/share"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(
             top, std::filesystem::directory_options::skip_permission_denied)) {
      if (entry.is_symlink(error) || !entry.is_regular_file(error)) continue;
      if (entry.file_size(error) > kLargestFile) continue;
      files.emplace_back(Sha256DigestOf(entry.path().string()), entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  std::vector<TarEntry> entries = {
      {.path = "tmp/", .kind = TarEntry::Kind::kDirectory, .mode = 01777}};
  size_t bytes = 0;
  for (const auto& [order, path] : files) {
    if (bytes >= kUnpackedBytes) break;
    std::ifstream file(path, std::ios::binary);
    if (!file) continue;
    std::string content((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    bytes += content.size();
    entries.push_back(
        {.path = path.string().substr(1), .content = std::move(content), .mode = 0755});
  }
  // As an archiver would meet them.
  std::sort(entries.begin(), entries.end(),
            [](const TarEntry& a, const TarEntry& b) { return a.path < b.path; });
  return entries;
}

// contree-mcp on a state directory of its own.
struct Desk {
  std::unique_ptr<TempDirectory> state = std::make_unique<TempDirectory>();
  std::unique_ptr<McpStdioClient> client = nullptr;
};

absl::StatusOr<json> Call(Desk& desk, const std::string& tool, const json& arguments) {
  ASSIGN_OR_RETURN(json result, desk.client->CallTool(tool, arguments, kTimeout));
  if (result.value("isError", false)) return absl::InternalError(result.dump());
  return std::move(result["structuredContent"]);
}

// With a backend that runs, and the registry's credentials.
absl::StatusOr<Desk> NewDesk(const std::string& program, const std::string& registry) {
  Desk desk;
  ASSIGN_OR_RETURN(desk.client,
                   McpStdioClient::Start({program, "--local", "--state-dir", desk.state->path()}));
  RETURN_IF_ERROR(desk.client->Initialize("2025-06-18", kTimeout).status());
  RETURN_IF_ERROR(
      Call(desk, "run", {{"command", "true"}, {"image", "tag:busybox:latest"}}).status());
  RETURN_IF_ERROR(Call(desk, "registry_auth",
                       {{"registry_url", registry}, {"username", kUser}, {"token", kPassword}})
                      .status());
  return desk;
}

absl::StatusOr<absl::Duration> TimeOfImport(Desk& desk, const std::string& reference) {
  const absl::Time start = absl::Now();
  ASSIGN_OR_RETURN(const json operation, Call(desk, "import_image", {{"registry_url", reference}}));
  const absl::Duration time = absl::Now() - start;
  if (operation.value("state", "") != "SUCCESS") return absl::InternalError(operation.dump());
  return time;
}

absl::StatusOr<absl::Duration> TimeOfSkopeo(const std::string& reference,
                                            const TempDirectory& directory, int number) {
  return TimeOfProcess({"skopeo", "--insecure-policy", "copy", "--quiet", "--src-tls-verify=false",
                        "--src-creds", absl::StrCat(kUser, ":", kPassword),
                        "--dest-shared-blob-dir", directory.File("blobs"),
                        absl::StrCat("docker://", reference),
                        absl::StrCat("oci:", directory.File(absl::StrCat("image", number)))});
}

absl::Status Bench(const std::string& program, int rounds) {
  TestRegistry registry({.access = TestRegistryOptions::Access::kToken});
  std::string base_reference;
  std::string grown_reference;
  {
    const std::vector<TarEntry> entries = BaseEntries();
    size_t unpacked = 0;
    for (const TarEntry& entry : entries) unpacked += entry.content.size();
    const LayerBlob base = {.bytes = MakeLayer(entries)};
    PrintFigure("the layer, packed", static_cast<double>(base.bytes.size()) / 1e6, "MB",
                absl::StrFormat("%.1f MB in %d files unpacked", static_cast<double>(unpacked) / 1e6,
                                entries.size()),
                "");
    base_reference = registry.Push("bench/base:1", {{.layers = {base}}});
    const LayerBlob app = {.bytes = MakeLayer({{.path = "app", .content = "app\n"}})};
    grown_reference = registry.Push("bench/grown:1", {{.layers = {base, app}}});
  }
  const auto asked = [&registry] { return registry.issuer().requests().size(); };

  std::vector<absl::Duration> cold, skopeo_cold, again, grown, skopeo_again;
  size_t first_requests = 0;
  size_t later_requests = 0;
  // Removed at the end: for each file that is made, ext4 looks past those that were removed in the
  // seconds before, one by one, and an import right behind the removal of another takes twice as
  // long for it.
  std::vector<std::unique_ptr<TempDirectory>> used;
  for (int round = -1; round < rounds; ++round) {  // the first one does not count
    ASSIGN_OR_RETURN(Desk desk, NewDesk(program, registry.host()));
    const TempDirectory skopeo;
    const size_t before = asked();
    ASSIGN_OR_RETURN(const absl::Duration cold_time, TimeOfImport(desk, base_reference));
    const size_t after_first = asked();
    ASSIGN_OR_RETURN(const absl::Duration again_time, TimeOfImport(desk, base_reference));
    const size_t after_second = asked();
    ASSIGN_OR_RETURN(const absl::Duration grown_time, TimeOfImport(desk, grown_reference));
    ASSIGN_OR_RETURN(const absl::Duration skopeo_cold_time,
                     TimeOfSkopeo(base_reference, skopeo, 1));
    ASSIGN_OR_RETURN(const absl::Duration skopeo_again_time,
                     TimeOfSkopeo(base_reference, skopeo, 2));
    desk.client.reset();
    used.push_back(std::move(desk.state));
    if (round < 0) continue;
    first_requests += after_first - before;
    later_requests += after_second - after_first;
    cold.push_back(cold_time);
    again.push_back(again_time);
    grown.push_back(grown_time);
    skopeo_cold.push_back(skopeo_cold_time);
    skopeo_again.push_back(skopeo_again_time);
  }
  PrintTimes("import_image, nothing here", DistributionOf(cold), "skopeo copy, download only",
             DistributionOf(skopeo_cold), "p50 under 2500 ms");
  PrintTimes("import_image again, its layers here", DistributionOf(again),
             "skopeo copy, its blobs here", DistributionOf(skopeo_again), "p50 under 300 ms");
  PrintTimes("import_image on the same base, a layer more", DistributionOf(grown),
             "skopeo copy, its blobs here", DistributionOf(skopeo_again), "p50 under 300 ms");
  PrintFigure("token requests of a first import",
              static_cast<double>(first_requests) / static_cast<double>(rounds), "", "", "");
  PrintFigure("token requests of the next one",
              static_cast<double>(later_requests) / static_cast<double>(rounds), "", "", "0");
  return absl::OkStatus();
}

}  // namespace
}  // namespace contree

int main(int argc, char** argv) {
  int rounds = 5;
  if (argc < 2 || (argc > 2 && (!absl::SimpleAtoi(argv[2], &rounds) || rounds < 1))) {
    std::cerr << "usage: " << argv[0] << " PROGRAM [ROUNDS]" << std::endl;
    return 2;
  }
  const absl::Status status = contree::Bench(argv[1], rounds);
  if (!status.ok()) std::cerr << "import_bench: " << status << std::endl;
  return status.ok() ? 0 : 1;
}
