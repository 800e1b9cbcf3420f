// /v1/files of the real program, and files attached to runs.

#include "absl/strings/str_cat.h"
#include "common/testing/temp_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "local-backend/testing/backend_process.h"

namespace contree {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class FileApiTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = new TempDirectory();
    backend_ = new BackendProcess(directory_->File("state"), {});
    ASSERT_EQ(backend_->readiness(), "ready\n");
  }
  static void TearDownTestSuite() {
    delete backend_;
    delete directory_;
  }
  static BackendProcess& backend() { return *backend_; }
  static json Upload(const std::string& bytes) {
    const Answer answer = backend().Request("POST", "/v1/files", bytes);
    EXPECT_EQ(answer.status, 201) << answer.body;
    return answer.json();
  }
  static std::string Out(const json& operation) {
    return operation["metadata"]["result"]["stdout"]["value"];
  }

  static TempDirectory* directory_;
  static BackendProcess* backend_;
};
TempDirectory* FileApiTest::directory_ = nullptr;
BackendProcess* FileApiTest::backend_ = nullptr;

TEST_F(FileApiTest, UploadIsKnownByItsContent) {
  const json file = Upload("content one");
  EXPECT_EQ(file["size"], 11);
  const std::string sha256 = file["sha256"];
  EXPECT_EQ(Upload("content one")["uuid"], file["uuid"]);
  const json shown = backend().Request("GET", "/v1/files/" + sha256).json();
  EXPECT_EQ(shown["uuid"], file["uuid"]);
  for (const char* name : {"uuid", "sha256", "size", "created_at", "updated_at"}) {
    EXPECT_TRUE(shown.contains(name)) << name;
  }
  const Answer head = backend().Request("HEAD", "/v1/files/" + sha256);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.body, "");
  EXPECT_EQ(backend().Request("HEAD", "/v1/files/" + std::string(64, '0')).status, 404);
  EXPECT_EQ(backend().Request("GET", "/v1/files/short").status, 404);
}

TEST_F(FileApiTest, OldClientsAskBySha256InTheQuery) {
  const json file = Upload("for old clients");
  const std::string target = absl::StrCat("/v1/files?sha256=", file["sha256"].get<std::string>());
  EXPECT_EQ(backend().Request("GET", target).json()["uuid"], file["uuid"]);
  EXPECT_EQ(backend().Request("HEAD", target).status, 200);
  EXPECT_EQ(backend().Request("GET", "/v1/files?sha256=" + std::string(64, '0')).status, 404);
}

TEST_F(FileApiTest, ListIsNewestFirst) {
  Upload("older");
  const json newer = Upload("newer");
  const json list = backend().Request("GET", "/v1/files?limit=1").json();
  ASSERT_EQ(list["files"].size(), 1);
  EXPECT_EQ(list["files"][0]["uuid"], newer["uuid"]);
  EXPECT_EQ(backend().Request("GET", "/v1/files?offset=100000").body, "{\"files\":[]}");
  EXPECT_EQ(backend().Request("GET", "/v1/files?limit=0").status, 400);
  EXPECT_EQ(backend().Request("GET", "/v1/files?until=1h").body, "{\"files\":[]}");
}

TEST_F(FileApiTest, TooLargeAFileIsRefused) {
  const Answer answer = backend().Request("POST", "/v1/files", std::string(128 * 1024 * 1024, 'x'));
  // The client may find the connection closed while it still sends.
  if (answer.status != -1) {
    EXPECT_EQ(answer.status, 413);
    EXPECT_THAT(answer.body, HasSubstr("134217727"));
  }
}

TEST_F(FileApiTest, AttachedFilesAreThereAndPersist) {
  const json file = Upload("attached\n");
  const json files = {
      {"/new/dir/file", {{"uuid", file["uuid"]}}},
      {"/bin/tool", {{"uuid", file["uuid"]}, {"mode", "0o100755"}, {"uid", 5}, {"gid", 6}}},
      {"/tmp/number", {{"uuid", file["uuid"]}, {"mode", 384}}},
  };
  const std::string command =
      "cat /new/dir/file; stat -c '%a %u:%g' /new/dir /new/dir/file /bin/tool /tmp/number";
  const std::string expected = "attached\n755 0:0\n644 0:0\n755 5:6\n600 0:0\n";
  EXPECT_EQ(Out(backend().Run({{"command", command}, {"files", files}})), expected);
  const json kept = backend().Run({{"command", command}, {"files", files}, {"disposable", false}});
  EXPECT_EQ(Out(kept), expected);
  EXPECT_EQ(kept["metadata"]["files"]["/bin/tool"]["mode"], "0755");
  EXPECT_NE(kept["result_image_uuid"], kept["image_uuid"]);
  EXPECT_EQ(Out(backend().Run({{"command", command}, {"image", kept["result_image_uuid"]}})),
            expected);
  // Attached again it changes nothing.
  const json again = backend().Run({{"command", "true"},
                                    {"image", kept["result_image_uuid"]},
                                    {"files", files},
                                    {"disposable", false}});
  EXPECT_EQ(again["result_image_uuid"], kept["result_image_uuid"]);
}

TEST_F(FileApiTest, CommandsCannotChangeWhatIsStored) {
  const json file = Upload("original\n");
  const json files = {{"/f", {{"uuid", file["uuid"]}}}};
  for (const bool disposable : {true, false}) {
    backend().Run({{"command", "echo changed >> /f; chmod 777 /f; truncate -s 1 /f; chown 7 /f"},
                   {"files", files},
                   {"disposable", disposable}});
    EXPECT_EQ(Out(backend().Run({{"command", "cat /f; stat -c '%a %u' /f"}, {"files", files}})),
              "original\n644 0\n");
  }
}

TEST_F(FileApiTest, FilesOfEqualContentAreNotOneFile) {
  const json file = Upload("twin\n");
  const json files = {{"/d/a", {{"uuid", file["uuid"]}}}, {"/d/b", {{"uuid", file["uuid"]}}}};
  EXPECT_EQ(
      Out(backend().Run({{"command", "cp -a /d /e; echo x > /e/a; cat /e/b"}, {"files", files}})),
      "twin\n");
}

TEST_F(FileApiTest, ManyFilesBecomeALayerThatRunsShare) {
  constexpr int kFiles = 300;
  json files;
  for (int i = 0; i < kFiles; ++i) {
    files[absl::StrCat("/app/d", i % 3, "/", i)] = {
        {"uuid", Upload(absl::StrCat("many ", i))["uuid"]}, {"mode", i == 7 ? "0755" : "0644"}};
  }
  const auto run = [&](const std::string& command, const std::string& image, bool disposable) {
    json operation = backend().Run({{"command", command},
                                    {"shell", true},
                                    {"image", image},
                                    {"files", files},
                                    {"disposable", disposable}});
    EXPECT_EQ(operation["status"], "SUCCESS") << operation.dump();
    return operation;
  };
  const std::string base = "tag:busybox:latest";
  const std::string count = "find /app -type f | wc -l; cat /app/d1/7; stat -c ' %a' /app/d1/7";
  const json thrown_away = run(count, base, true);
  EXPECT_EQ(Out(thrown_away), "300\nmany 7 755\n");
  EXPECT_EQ(thrown_away["metadata"]["files"]["/app/d1/7"]["mode"], "0755");

  const json first = run(count, base, false);
  EXPECT_EQ(Out(first), "300\nmany 7 755\n");
  EXPECT_GT(first["image_size"], 300 * 6);
  const std::string with_files = first["result_image_uuid"];
  EXPECT_NE(with_files, first["image_uuid"]);
  const json again = run("true", with_files, false);
  EXPECT_EQ(again["result_image_uuid"], with_files);

  // Each image's files are its own, and attaching them brings them back.
  const json changed = run("echo other >/app/d1/7; rm -r /app/d2", with_files, false);
  const std::string other = changed["result_image_uuid"];
  const json look =
      backend().Run({{"command", "cat /app/d1/7; ls /app"}, {"shell", true}, {"image", other}});
  EXPECT_EQ(Out(look), "other\nd0\nd1\n");
  EXPECT_EQ(Out(run("cat /app/d1/7", with_files, true)), "many 7");
  const json restored = run(count, other, false);
  EXPECT_EQ(Out(restored), "300\nmany 7 755\n");
  EXPECT_NE(restored["result_image_uuid"], other);
  EXPECT_EQ(run("true", restored["result_image_uuid"], false)["result_image_uuid"],
            restored["result_image_uuid"]);

  const json too_large = backend().Run({{"command", "true"},
                                        {"image", base},
                                        {"files", files},
                                        {"disposable", false},
                                        {"resources_limits", {{"max_layer_bytes", 100}}}});
  EXPECT_EQ(too_large["status"], "FAILED");
  EXPECT_THAT(too_large["error"].get<std::string>(), HasSubstr("max_layer_bytes allows 100"));
}

TEST_F(FileApiTest, WrongFilesSayWhatIsWrong) {
  const json file = Upload("x");
  const auto post = [&](const json& files) {
    return backend().Request(
        "POST", "/v1/instances",
        {{"command", "true"}, {"image", "tag:busybox:latest"}, {"files", files}});
  };
  const json& uuid = file["uuid"];
  EXPECT_EQ(post({{"relative", {{"uuid", uuid}}}}).status, 400);
  EXPECT_EQ(post({{"/dir/", {{"uuid", uuid}}}}).status, 400);
  EXPECT_EQ(post({{"/..", {{"uuid", uuid}}}}).status, 400);
  EXPECT_EQ(post({{"/f", {{"uuid", uuid}, {"mode", "0x1ff"}}}}).status, 400);
  EXPECT_EQ(post({{"/f", {{"uuid", uuid}, {"mode", -1}}}}).status, 400);
  EXPECT_EQ(post({{"/f", {{"uuid", uuid}, {"uid", -1}}}}).status, 400);
  EXPECT_EQ(post({{"/f", "x"}}).status, 400);
  EXPECT_EQ(post({{"/f", {{"uuid", "unknown"}}}}).status, 404);
  const json through_file =
      backend().Run({{"command", "true"}, {"files", {{"/etc/passwd/x", {{"uuid", uuid}}}}}});
  EXPECT_EQ(through_file["status"], "FAILED");
  EXPECT_THAT(through_file["error"].get<std::string>(), HasSubstr("/etc/passwd"));
}

}  // namespace
}  // namespace contree
