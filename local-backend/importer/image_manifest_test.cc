#include "local-backend/importer/image_manifest.h"

#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/testing/status_matchers.h"

namespace contree {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

constexpr char kOciManifest[] = "application/vnd.oci.image.manifest.v1+json";
constexpr char kOciIndex[] = "application/vnd.oci.image.index.v1+json";
constexpr char kDockerManifest[] = "application/vnd.docker.distribution.manifest.v2+json";
constexpr char kDockerList[] = "application/vnd.docker.distribution.manifest.list.v2+json";
constexpr char kOciLayer[] = "application/vnd.oci.image.layer.v1.tar+gzip";

std::string Digest(char c) { return absl::StrCat("sha256:", std::string(64, c)); }
json Blob(const char* type, char c, int64_t size = 10) {
  return {{"mediaType", type}, {"digest", Digest(c)}, {"size", size}};
}
json Manifest(const json& layers, const char* type = kOciManifest) {
  return {{"schemaVersion", 2},
          {"mediaType", type},
          {"config", Blob("application/vnd.oci.image.config.v1+json", 'c')},
          {"layers", layers}};
}
json Entry(char c, const std::string& os, const std::string& architecture,
           const std::string& variant = "") {
  json entry = Blob(kOciManifest, c);
  entry["platform"] = {{"os", os}, {"architecture", architecture}};
  if (!variant.empty()) entry["platform"]["variant"] = variant;
  return entry;
}
json Index(const json& manifests, const char* type = kOciIndex) {
  return {{"schemaVersion", 2}, {"mediaType", type}, {"manifests", manifests}};
}

absl::StatusOr<std::variant<ImageManifest, ImageIndex>> Parse(
    const json& manifest, const Platform& platform = {.os = "linux", .architecture = "amd64"}) {
  return ParseManifest(manifest.dump(), platform);
}
// The digest that an index leads to, or the error's text.
std::string Chosen(const json& index, const Platform& platform) {
  const auto parsed = Parse(index, platform);
  if (!parsed.ok()) return std::string(parsed.status().message());
  return std::get<ImageIndex>(*parsed).chosen.digest;
}

TEST(ImageManifestTest, ReadsThoseOfOciAndDocker) {
  for (const char* type : {kOciManifest, kDockerManifest}) {
    ASSERT_OK_AND_ASSIGN(
        const auto parsed,
        Parse(Manifest({Blob(kOciLayer, 'a', 1),
                        Blob("application/vnd.docker.image.rootfs.diff.tar.gzip", 'b', 2),
                        Blob("application/vnd.oci.image.layer.v1.tar+zstd", 'd', 3)},
                       type)));
    const auto& manifest = std::get<ImageManifest>(parsed);
    EXPECT_EQ(manifest.config.digest, Digest('c'));
    ASSERT_EQ(manifest.layers.size(), 3u);
    EXPECT_EQ(manifest.layers[0].digest, Digest('a'));
    EXPECT_EQ(manifest.layers[2].digest, Digest('d'));
    EXPECT_EQ(manifest.layers[2].size, 3);
  }
  json without_type = Manifest(json::array({Blob(kOciLayer, 'a')}));
  without_type.erase("mediaType");
  EXPECT_OK(Parse(without_type));
}

TEST(ImageManifestTest, ThePlatformChoosesFromAnIndex) {
  for (const char* type : {kOciIndex, kDockerList}) {
    const json index = Index({Entry('1', "linux", "arm", "v6"), Entry('2', "linux", "arm", "v7"),
                              Entry('3', "linux", "arm64", "v8"), Entry('4', "linux", "amd64"),
                              Entry('5', "windows", "amd64"), Entry('6', "unknown", "unknown")},
                             type);
    EXPECT_EQ(Chosen(index, {.os = "linux", .architecture = "amd64"}), Digest('4'));
    EXPECT_EQ(Chosen(index, {.os = "linux", .architecture = "arm64", .variant = "v8"}),
              Digest('3'));
    EXPECT_EQ(Chosen(index, {.os = "linux", .architecture = "arm", .variant = "v7"}), Digest('2'));
    EXPECT_EQ(Chosen(index, {.os = "linux", .architecture = "arm", .variant = "v5"}), Digest('1'))
        << "the first one where there is no exact one";
    EXPECT_THAT(Chosen(index, {.os = "linux", .architecture = "riscv64"}),
                AllOf(HasSubstr("not made for linux/riscv64"), HasSubstr("linux/arm/v7"),
                      HasSubstr("windows/amd64"), testing::Not(HasSubstr("unknown/unknown"))));
  }
  EXPECT_THAT(Chosen(Index(json::array()), {.os = "linux", .architecture = "amd64"}),
              HasSubstr("no platform that it names"));
}

TEST(ImageManifestTest, WhatIsDamagedIsRefused) {
  const auto is_damaged = StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("damaged"));
  const json good = Manifest(json::array({Blob(kOciLayer, 'a')}));
  EXPECT_THAT(ParseManifest("{", {}), is_damaged);
  EXPECT_THAT(ParseManifest("[]", {}), is_damaged);
  EXPECT_THAT(Parse(Manifest(json::array())), is_damaged);
  EXPECT_THAT(Parse(Manifest("layers")), is_damaged);
  for (const json& digest : {json("sha256:../../etc/passwd"), json(""), json(7), json(nullptr),
                             json("md5:" + std::string(64, 'a')), json(Digest('A'))}) {
    json layer = Blob(kOciLayer, 'a');
    layer["digest"] = digest;
    EXPECT_THAT(Parse(Manifest(json::array({layer}))), is_damaged) << digest;
  }
  for (const json& size : {json(-1), json("10"), json(1.5), json(nullptr)}) {
    json layer = Blob(kOciLayer, 'a');
    layer["size"] = size;
    EXPECT_THAT(Parse(Manifest(json::array({layer}))), is_damaged) << size;
  }
  json both = good;
  both["manifests"] = json::array();
  EXPECT_THAT(Parse(both), is_damaged);
  json mislabelled = Index(json::array({Entry('4', "linux", "amd64")}));
  mislabelled["mediaType"] = kOciManifest;
  EXPECT_THAT(Parse(mislabelled), is_damaged);
}

TEST(ImageManifestTest, WhatIsOfAnotherKindSaysSo) {
  const auto is_unknown = [](const char* text) {
    return StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(text));
  };
  EXPECT_THAT(Parse({{"schemaVersion", 1}}), is_unknown("schema 1"));
  EXPECT_THAT(
      Parse(Manifest(json::array({Blob("application/vnd.cncf.helm.chart.content.v1", 'a')}))),
      is_unknown("helm"));
  EXPECT_THAT(Parse(Manifest(json::array(
                  {Blob("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", 'a')}))),
              is_unknown("encrypted"));
  EXPECT_THAT(Parse(Manifest(json::array({Blob(kOciLayer, 'a')}), "application/vnd.example")),
              is_unknown("vnd.example"));
  json many = json::array();
  for (int i = 0; i < 401; ++i) many.push_back(Blob(kOciLayer, 'a'));
  EXPECT_THAT(Parse(Manifest(many)), is_unknown("401 layers"));
}

TEST(ImageManifestTest, AConfigurationNamesItsPlatform) {
  ASSERT_OK_AND_ASSIGN(
      const Platform platform,
      PlatformOfConfig(
          R"({"os": "linux", "architecture": "arm64", "variant": "v8", "config": 1})"));
  EXPECT_EQ(platform.ToText(), "linux/arm64/v8");
  ASSERT_OK_AND_ASSIGN(const Platform silent, PlatformOfConfig("{}"));
  EXPECT_EQ(silent.os, "");
  EXPECT_THAT(PlatformOfConfig("7"), StatusIs(absl::StatusCode::kInvalidArgument, testing::_));
}

}  // namespace
}  // namespace contree
