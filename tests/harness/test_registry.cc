#include "tests/harness/test_registry.h"

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"

namespace contree::testing_harness {
namespace {

using nlohmann::json;

// "alice:correct-horse-battery" as `htpasswd -B` writes it, with the least rounds.
constexpr char kHtpasswd[] = "alice:$2y$04$J/3nwVBw4z6KOZj.n83MVePTW813AsJym1zPoHw6tRajNP.r8EdXK\n";

void WriteFile(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

template <typename T>
T Must(absl::StatusOr<T> result) {
  if (!result.ok()) {
    std::cerr << "the test registry: " << result.status() << std::endl;
    std::abort();
  }
  return *std::move(result);
}

}  // namespace

TestRegistry::TestRegistry(const TestRegistryOptions& options) : options_(options) {
  // JSON is YAML.
  json config = {{"version", 0.1},
                 {"log", {{"level", "info"}, {"formatter", "json"}}},
                 {"storage", {{"filesystem", {{"rootdirectory", directory_.File("data")}}}}},
                 {"http", {{"addr", "127.0.0.1:0"}}}};
  if (options.tls) {
    const Certificate authority = MakeAuthority(KeyKind::kEllipticCurve);
    const Certificate server = MakeServerCertificate(authority);
    WriteFile(ca_file(), authority.certificate_pem);
    WriteFile(directory_.File("server.pem"), server.certificate_pem);
    WriteFile(directory_.File("server.key"), server.key_pem);
    config["http"]["tls"] = {{"certificate", directory_.File("server.pem")},
                             {"key", directory_.File("server.key")}};
  }
  if (options.access == TestRegistryOptions::Access::kPassword) {
    WriteFile(directory_.File("htpasswd"), kHtpasswd);
    config["auth"]["htpasswd"] = {{"realm", "test"}, {"path", directory_.File("htpasswd")}};
  }
  if (options.access == TestRegistryOptions::Access::kToken) {
    issuer_ = std::make_unique<TokenIssuer>(options.issuer);
    WriteFile(directory_.File("issuer.pem"), issuer_->certificate().certificate_pem);
    config["auth"]["token"] = {{"realm", issuer_->realm()},
                               {"service", kTokenService},
                               {"issuer", kTokenIssuer},
                               {"rootcertbundle", directory_.File("issuer.pem")}};
  }
  WriteFile(directory_.File("config.yml"), config.dump());
  process_ = Must(
      ServerProcess::Start({"/usr/bin/docker-registry", "serve", directory_.File("config.yml")},
                           {{"OTEL_TRACES_EXPORTER", "none"}}));
  const std::string rest = Must(process_->WaitForText("listening on "));
  host_ = rest.substr(0, rest.find_first_not_of("0123456789.:"));
}

std::string TestRegistry::Push(const std::string& name_and_tag,
                               const std::vector<TestImage>& images, ManifestKind kind) {
  const std::string layout = directory_.File(absl::StrCat("layout", ++layouts_));
  WriteOciLayout(layout, images);
  std::string reference = absl::StrCat(host_, "/", name_and_tag);
  std::vector<std::string> command = {"/usr/bin/skopeo", "--insecure-policy", "copy",
                                      "--dest-tls-verify=false", "--quiet"};
  if (images.size() > 1) command.emplace_back("--all");
  if (kind == ManifestKind::kDocker) {
    command.emplace_back("--format");
    command.emplace_back("v2s2");
  }
  if (options_.access != TestRegistryOptions::Access::kOpen) {
    command.emplace_back("--dest-creds");
    command.push_back(absl::StrCat(kUser, ":", kPassword));
  }
  command.push_back(absl::StrCat("oci:", layout, ":latest"));
  command.push_back(absl::StrCat("docker://", reference));
  const auto push = Must(ServerProcess::Start(command));
  if (Must(push->Wait(absl::Seconds(60))) != 0) {
    std::cerr << "skopeo: " << push->Output() << std::endl;
    std::abort();
  }
  return reference;
}

TestImage BusyboxImage(absl::string_view motd) {
  return {.layers = {{.bytes = MakeLayer(BusyboxEntries(motd))}}};
}

}  // namespace contree::testing_harness
