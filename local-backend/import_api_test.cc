// POST /images/import of the real program, from a real registry.

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/testing/temp_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "local-backend/testing/backend_process.h"
#include "tests/harness/oci_image.h"
#include "tests/harness/test_registry.h"

namespace contree {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;
using testing_harness::BusyboxEntries;
using testing_harness::BusyboxImage;
using testing_harness::kPassword;
using testing_harness::kRefreshToken;
using testing_harness::kUser;
using testing_harness::MakeLayer;
using testing_harness::ManifestKind;
using testing_harness::Packing;
using testing_harness::TarEntry;
using testing_harness::TestImage;
using testing_harness::TestRegistry;
using testing_harness::TestRegistryOptions;

class ImportApiTest : public testing::Test {
 protected:
  ImportApiTest() : backend_(state_.path(), {}) { EXPECT_EQ(backend_.readiness(), "ready\n"); }

  // Imports and waits; the operation as GET shows it.
  json Import(const json& body) {
    const Answer answer = backend_.Request("POST", "/v1/images/import", body);
    EXPECT_EQ(answer.status, 201) << answer.body;
    if (answer.status != 201) return json::object();
    const std::string id = answer.json().at("uuid");
    EXPECT_EQ(answer.location, "/v1/operations/" + id);
    events_ = backend_.Follow(id);
    EXPECT_FALSE(events_.empty());
    if (!events_.empty()) {
      EXPECT_EQ(events_.back().type, "completion");
    }
    return backend_.Request("GET", "/v1/operations/" + id).json();
  }
  json Import(const std::string& reference, const json& more = json::object()) {
    json body = {{"registry", {{"url", "docker://" + reference}}}};
    body.update(more);
    return Import(body);
  }
  std::string Run(const json& image, const std::string& command) {
    const json run = backend_.Run({{"image", image}, {"command", command}});
    if (run.value("status", "") != "SUCCESS") return run.dump();
    return run.at("metadata").at("result").at("stdout").at("value");
  }
  int Layers() const {
    int count = 0;
    for ([[maybe_unused]] const auto& entry :
         std::filesystem::directory_iterator(state_.File("local-backend/layers"))) {
      ++count;
    }
    return count;
  }
  // Whether any file of the backend's state holds the text.
  bool StateHolds(const std::string& text) const {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(
             state_.path(), std::filesystem::directory_options::skip_permission_denied)) {
      if (!entry.is_regular_file()) continue;
      std::ifstream file(entry.path(), std::ios::binary);
      std::stringstream content;
      content << file.rdbuf();
      if (content.str().find(text) != std::string::npos) return true;
    }
    return false;
  }

  TempDirectory state_;
  BackendProcess backend_;
  std::vector<ServerEvent> events_;
};

TEST_F(ImportApiTest, AnImageBecomesOneOfThisMachine) {
  TestRegistry registry;
  const std::string reference = registry.Push("team/box:1", {BusyboxImage("first\n")});
  const json operation = Import(reference, {{"tag", "box:1"}, {"timeout", 100}});
  ASSERT_EQ(operation.at("status"), "SUCCESS") << operation;
  EXPECT_EQ(operation.at("kind"), "image_import");
  EXPECT_EQ(operation.at("metadata").at("registry"), json({{"url", "docker://" + reference}}));
  EXPECT_EQ(operation.at("metadata").at("tag"), "box:1");
  EXPECT_EQ(operation.at("metadata").at("timeout"), 100);
  EXPECT_EQ(operation.at("metadata").at("result"), nullptr);
  EXPECT_EQ(operation.at("image_uuid"), nullptr);
  const json image = operation.at("result_image_uuid");
  EXPECT_EQ(operation.at("result"), json({{"image", image}, {"tag", "box:1"}}));
  EXPECT_GT(operation.at("image_size").get<int64_t>(), 100'000);
  EXPECT_EQ(events_.back().event.at("data").at("result_image_uuid"), image);
  EXPECT_EQ(Run("tag:box:1", "cat /etc/motd; stat -c %a /tmp"), "first\n1777\n");

  const json shown =
      backend_.Request("GET", "/v1/inspect/" + image.get<std::string>() + "/").json();
  EXPECT_EQ(shown.at("tag"), "box:1");
  EXPECT_EQ(shown.at("operation_uuid"), operation.at("uuid"));
  const json listed = backend_.Request("GET", "/v1/operations?kind=image_import").json();
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(listed[0].at("uuid"), operation.at("uuid"));
  const json whoami = backend_.Request("GET", "/v1/whoami").json();
  EXPECT_EQ(whoami.at("permissions").at("import"), true);
  EXPECT_EQ(whoami.at("operations_stat").at("running_imports"), 0);
}

TEST_F(ImportApiTest, AnUnchangedImageIsTheSameAndABaseIsShared) {
  TestRegistry registry;
  const std::string base = MakeLayer(BusyboxEntries());
  const auto with = [&base](const std::string& text) {
    return TestImage{
        .layers = {{.bytes = base}, {.bytes = MakeLayer({{.path = "app", .content = text}})}}};
  };
  const std::string one = registry.Push("app:1", {with("one")});
  const std::string two = registry.Push("app:2", {with("two")});
  const int before = Layers();
  const json first = Import(one);
  ASSERT_EQ(first.at("status"), "SUCCESS") << first;
  EXPECT_EQ(Layers(), before + 2);
  const json again = Import(one, {{"tag", "again"}});
  EXPECT_EQ(again.at("result_image_uuid"), first.at("result_image_uuid"));
  EXPECT_EQ(again.at("image_size"), 0);
  EXPECT_EQ(Layers(), before + 2);
  const json second = Import(two);
  EXPECT_NE(second.at("result_image_uuid"), first.at("result_image_uuid"));
  EXPECT_EQ(Layers(), before + 3);
  EXPECT_EQ(Run(first.at("result_image_uuid"), "cat /app"), "one");
  EXPECT_EQ(Run(second.at("result_image_uuid"), "cat /app"), "two");
  EXPECT_EQ(Run("tag:again", "cat /app"), "one");
}

TEST_F(ImportApiTest, EveryKindOfManifestAndPacking) {
  TestRegistry registry;
  const auto motd = [](const std::string& text, Packing packing) {
    return TestImage{
        .layers = {{.bytes = MakeLayer(BusyboxEntries(text), packing), .packing = packing}}};
  };
  const std::vector<std::string> references = {
      registry.Push("gzip:1", {motd("gzip", Packing::kGzip)}),
      registry.Push("zstd:1", {motd("zstd", Packing::kZstd)}),
      registry.Push("docker:1", {motd("docker", Packing::kGzip)}, ManifestKind::kDocker),
      registry.Push("plain:1", {motd("plain", Packing::kPlain)}),
  };
  for (const std::string& reference : references) {
    const json operation = Import(reference);
    ASSERT_EQ(operation.at("status"), "SUCCESS") << operation;
    EXPECT_THAT(reference, HasSubstr(Run(operation.at("result_image_uuid"), "cat /etc/motd")));
  }
}

TEST_F(ImportApiTest, ThePlatformIsThisMachines) {
  TestRegistry registry;
  TestImage here = BusyboxImage("here");
  TestImage other = BusyboxImage("other");
  other.architecture = "s390x";
  const std::string both = registry.Push("both:1", {other, here});
  const json operation = Import(both);
  ASSERT_EQ(operation.at("status"), "SUCCESS") << operation;
  EXPECT_EQ(Run(operation.at("result_image_uuid"), "cat /etc/motd"), "here");
  const json alone = Import(registry.Push("other:1", {other}));
  EXPECT_EQ(alone.at("status"), "FAILED");
  EXPECT_THAT(alone.at("error").get<std::string>(),
              HasSubstr("for linux/s390x; this machine runs linux/amd64"));
  const json index = Import(registry.Push("others:1", {other, other}));
  EXPECT_EQ(index.at("status"), "FAILED");
  EXPECT_THAT(index.at("error").get<std::string>(), HasSubstr("it is for linux/s390x"));
}

TEST_F(ImportApiTest, ByPasswordWhichIsShownAndKeptNowhere) {
  TestRegistry registry({.access = TestRegistryOptions::Access::kPassword});
  const std::string reference = registry.Push("secret/box:1", {BusyboxImage()});
  const json credentials = {{"username", kUser}, {"password", kPassword}};
  const json operation =
      Import({{"registry", {{"url", "docker://" + reference}, {"credentials", credentials}}}});
  ASSERT_EQ(operation.at("status"), "SUCCESS") << operation;
  EXPECT_EQ(operation.at("metadata").at("registry").at("credentials"),
            json({{"username", kUser}, {"password", "<MASKED>"}}));
  // The older form of the body.
  const json older = Import({{"registry", reference}, {"credentials", credentials}});
  EXPECT_EQ(older.at("result_image_uuid"), operation.at("result_image_uuid"));

  const json wrong = Import({{"registry",
                              {{"url", "docker://" + reference},
                               {"credentials", {{"username", kUser}, {"password", "wrong"}}}}}});
  EXPECT_EQ(wrong.at("status"), "FAILED");
  EXPECT_THAT(wrong.at("error").get<std::string>(), HasSubstr("HTTP 401"));
  // Empty credentials are none, as some clients send them.
  const json none = Import({{"registry",
                             {{"url", "docker://" + reference},
                              {"credentials", {{"username", ""}, {"password", ""}}}}}});
  EXPECT_EQ(none.at("status"), "FAILED");
  EXPECT_THAT(none.at("error").get<std::string>(), HasSubstr("registry_auth"));
  EXPECT_FALSE(StateHolds(kPassword));
  std::ifstream log(state_.path() + ".log");
  std::stringstream text;
  text << log.rdbuf();
  EXPECT_THAT(text.str(), Not(HasSubstr(kPassword)));
}

TEST_F(ImportApiTest, ByToken) {
  TestRegistry registry({.access = TestRegistryOptions::Access::kToken});
  const std::string reference = registry.Push("team/box:1", {BusyboxImage()});
  const std::string open = registry.Push("public/box:1", {BusyboxImage()});
  const size_t before = registry.issuer().requests().size();
  const auto with = [&reference](const json& credentials) {
    return json({{"registry", {{"url", "docker://" + reference}, {"credentials", credentials}}}});
  };
  const json operation = Import(with({{"username", kUser}, {"password", kPassword}}));
  ASSERT_EQ(operation.at("status"), "SUCCESS") << operation;
  EXPECT_EQ(registry.issuer().requests().size(), before + 1);
  Import(with({{"username", kUser}, {"password", kPassword}}));
  EXPECT_EQ(registry.issuer().requests().size(), before + 1) << "the token was there";
  const json identity = Import(with({{"username", "<token>"}, {"password", kRefreshToken}}));
  EXPECT_EQ(identity.at("status"), "SUCCESS") << identity;
  EXPECT_EQ(registry.issuer().requests().back(),
            "POST refresh_token alice repository:team/box:pull");
  const json refused = Import(with({{"username", kUser}, {"password", "wrong"}}));
  EXPECT_EQ(refused.at("status"), "FAILED");
  EXPECT_THAT(refused.at("error").get<std::string>(), HasSubstr("refuses these credentials"));
  const json elsewhere = Import(with(
      {{"username", kUser}, {"password", kPassword}, {"realm", "https://auth.example/token"}}));
  EXPECT_THAT(elsewhere.at("error").get<std::string>(), HasSubstr("were stored for"));
  EXPECT_EQ(Import(open).at("status"), "SUCCESS");
  EXPECT_EQ(Import(reference).at("status"), "FAILED");
}

TEST_F(ImportApiTest, WhatDoesNotWorkSaysWhyAndLeavesNothing) {
  TestRegistry registry;
  const int before = Layers();
  const json missing = Import(registry.host() + "/no/such:tag");
  EXPECT_EQ(missing.at("status"), "FAILED");
  EXPECT_THAT(missing.at("error").get<std::string>(), HasSubstr("MANIFEST_UNKNOWN"));
  const json hostile = Import(registry.Push(
      "hostile:1",
      {{.layers = {{.bytes = MakeLayer({{.path = "a"}, {.path = "../../escaped"}})}}}}));
  EXPECT_EQ(hostile.at("status"), "FAILED");
  EXPECT_THAT(hostile.at("error").get<std::string>(), HasSubstr("leads upwards"));
  EXPECT_EQ(hostile.at("result_image_uuid"), nullptr);
  EXPECT_EQ(Layers(), before);

  const auto refused = [this](const json& body) {
    const Answer answer = backend_.Request("POST", "/v1/images/import", body);
    EXPECT_EQ(answer.status, 400) << body;
    return answer.json().value("error", "");
  };
  EXPECT_THAT(refused(json::array()), HasSubstr("JSON object"));
  EXPECT_THAT(refused(json::object()), HasSubstr("registry is required"));
  EXPECT_THAT(refused({{"registry", {{"url", "docker://alpine/UPPER"}}}}), HasSubstr("UPPER"));
  EXPECT_THAT(refused({{"registry", {{"url", "alpine"}}}, {"timeout", 3601}}),
              HasSubstr("timeout"));
  EXPECT_THAT(refused({{"registry", {{"url", "alpine"}}}, {"tag", "/bad/"}}), HasSubstr("/bad/"));
}

}  // namespace
}  // namespace contree
