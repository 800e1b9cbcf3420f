// /v1/images and /v1/inspect of the real program.

#include "absl/strings/str_cat.h"
#include "common/testing/temp_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "local-backend/testing/backend_process.h"

namespace contree {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class ImageApiTest : public testing::Test {
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
  static Answer Get(const std::string& target) { return backend_->Request("GET", target); }
  static std::string NewImage(const std::string& command) {
    return backend_->Run({{"command", command}, {"disposable", false}})["result_image_uuid"];
  }
  static Answer Tag(const std::string& uuid, const json& tag) {
    return backend_->Request("PATCH", absl::StrCat("/v1/images/", uuid, "/tag"), {{"tag", tag}});
  }

  static TempDirectory* directory_;
  static BackendProcess* backend_;
};
TempDirectory* ImageApiTest::directory_ = nullptr;
BackendProcess* ImageApiTest::backend_ = nullptr;

TEST_F(ImageApiTest, PrefixFindsTheExactTagFirst) {
  const std::string longer = NewImage("echo 1 > /f");
  const std::string exact = NewImage("echo 2 > /f");
  const std::string newest = NewImage("echo 3 > /f");
  Tag(exact, "p/app:1");
  Tag(longer, "p/app:1.1");
  Tag(newest, "p/app:12");
  const json images = Get("/v1/images?tag=p/app:1").json()["images"];
  ASSERT_EQ(images.size(), 3);
  EXPECT_EQ(images[0]["uuid"], exact);
  EXPECT_EQ(images[1]["uuid"], newest);
  EXPECT_EQ(images[2]["uuid"], longer);
  // No pattern characters of SQL.
  EXPECT_EQ(Get("/v1/images?tag=p_app").json()["images"].size(), 0);
  EXPECT_EQ(Get("/v1/images?tag=p%25").status, 400);
}

TEST_F(ImageApiTest, ListsByPageTagUuidAndTime) {
  const std::string uuid = NewImage("echo list > /f");
  EXPECT_EQ(Get("/v1/images?limit=1").json()["images"][0]["uuid"], uuid);
  EXPECT_EQ(Get("/v1/images?limit=1000&offset=1000").json()["images"].size(), 0);
  for (const char* wrong :
       {"limit=0", "limit=1001", "limit=x", "offset=-1", "since=yesterday", "tagged=perhaps"}) {
    EXPECT_EQ(Get(absl::StrCat("/v1/images?", wrong)).status, 400) << wrong;
  }
  EXPECT_EQ(Get("/v1/images?limit=0").json()["error"], "limit must be between 1 and 1000");
  const json tagged = Get("/v1/images?tagged=1").json()["images"];
  for (const json& image : tagged) EXPECT_TRUE(image["tag"].is_string());
  EXPECT_EQ(Get("/v1/images?tagged=0&uuid=" + uuid.substr(0, 8)).json()["images"][0]["uuid"], uuid);
  EXPECT_EQ(Get("/v1/images?since=1h&kind=x").json()["images"][0]["uuid"], uuid);
  EXPECT_EQ(Get("/v1/images?until=1h").json()["images"].size(), 0);
}

TEST_F(ImageApiTest, ImageNamesTheOperationThatMadeIt) {
  const json operation = backend_->Run({{"command", "echo made > /f"}, {"disposable", false}});
  const json image =
      Get("/v1/inspect/" + operation["result_image_uuid"].get<std::string>() + "/").json();
  EXPECT_EQ(image["operation_uuid"], operation["uuid"]);
  EXPECT_TRUE(image["tag"].is_null());
  EXPECT_TRUE(image["created_at"].is_string());
}

TEST_F(ImageApiTest, TagMovesAndIsRemoved) {
  const std::string first = NewImage("echo a > /f");
  const std::string second = NewImage("echo b > /f");
  EXPECT_EQ(Tag(first, "move:me").json()["tag"], "move:me");
  EXPECT_EQ(Tag(second, "move:me").status, 200);
  EXPECT_TRUE(Get("/v1/inspect/" + first).json()["tag"].is_null());
  EXPECT_EQ(Get("/v1/inspect?tag=move:me").json()["uuid"], second);
  EXPECT_EQ(backend_->Request("DELETE", "/v1/images/" + second + "/tag?tag=other").status, 409);
  EXPECT_EQ(backend_->Request("DELETE", "/v1/images/" + second + "/tag?tag=move:me").status, 204);
  EXPECT_EQ(Get("/v1/inspect?tag=move:me").status, 404);
  EXPECT_EQ(backend_->Request("DELETE", "/v1/images/" + second + "/tag").status, 204);
  const std::string unknown = "00000000-0000-4000-8000-000000000000";
  EXPECT_EQ(Tag(unknown, "x").status, 404);
  EXPECT_EQ(Get("/v1/inspect?tag=x").status, 404);
  EXPECT_EQ(backend_->Request("DELETE", "/v1/images/" + unknown + "/tag").status, 404);
  for (const json& wrong : {json("a b"), json(":a"), json("a/"), json(""), json(5), json(nullptr),
                            json(std::string(257, 'a'))}) {
    EXPECT_EQ(Tag(first, wrong).status, 400) << wrong;
  }
}

TEST_F(ImageApiTest, TagRedirectsRelatively) {
  const Answer answer = Get("/v1/inspect/?tag=busybox:latest");
  EXPECT_EQ(answer.status, 302);
  EXPECT_EQ(answer.location.size(), 37);
  EXPECT_EQ(answer.location.back(), '/');
  EXPECT_EQ(Get("/v1/inspect/" + answer.location).json()["tag"], "busybox:latest");
  EXPECT_EQ(Get("/v1/inspect/").json()["error"], "tag is required");
  EXPECT_EQ(Get("/v1/inspect/?tag=no-such").status, 404);
}

TEST_F(ImageApiTest, ListsAndReadsWithoutRunningAnything) {
  const std::string uuid = NewImage(
      "mkdir /d; cd /d; echo -n hello > file; chown 1:100 file; chmod 4750 file; ln -s "
      "../etc/passwd link; mkfifo pipe; "
      "ln -s /../../../../etc/passwd escape; ln -s loop loop; rm -r /opt");
  const std::string base = "/v1/inspect/" + uuid;
  const json listing = Get(base + "/list?path=/d").json();
  EXPECT_EQ(listing["path"], "/d");
  ASSERT_EQ(listing["files"].size(), 5);
  const json file = listing["files"][1];
  EXPECT_EQ(file.size(), 15);
  EXPECT_EQ(file["path"], "file");
  EXPECT_EQ(file["size"], 5);
  EXPECT_EQ(file["mode"], 0104750);
  EXPECT_EQ(file["uid"], 1);
  EXPECT_EQ(file["owner"], "daemon");
  EXPECT_EQ(file["group"], "users");
  EXPECT_EQ(file["is_regular"], true);
  EXPECT_EQ(file["symlink_to"], "");
  EXPECT_EQ(listing["files"][2]["symlink_to"], "../etc/passwd");
  EXPECT_EQ(listing["files"][4]["is_fifo"], true);
  EXPECT_THAT(Get(base + "/list?path=/d&text=").body, HasSubstr("-rwsr-x---   1 daemon   users"));
  EXPECT_EQ(Get(base + "/download?path=/d/file").body, "hello");
  EXPECT_THAT(Get(base + "/download?path=/d/link").body, HasSubstr("root:x:0:0"));
  // The link climbs above the root of the image and stays in it.
  EXPECT_EQ(Get(base + "/download?path=/d/escape").body,
            Get(base + "/download?path=/etc/passwd").body);
  EXPECT_EQ(Get(base + "/download?path=../../../../d/file").body, "hello");
  EXPECT_EQ(Get(base + "/download?path=/d/loop").status, 422);
  EXPECT_EQ(Get(base + "/download?path=/d/pipe").status, 422);
  EXPECT_EQ(Get(base + "/list?path=/opt").status, 404);
}

TEST_F(ImageApiTest, WrongPathsAre404Or422) {
  const std::string base =
      "/v1/inspect/" + Get("/v1/inspect?tag=busybox:latest").json()["uuid"].get<std::string>();
  EXPECT_EQ(Get(base + "/list?path=/no/such").status, 404);
  EXPECT_EQ(Get(base + "/list?path=/etc/passwd").status, 422);
  EXPECT_EQ(Get(base + "/download?path=/etc").status, 422);
  EXPECT_EQ(Get(base + "/download?path=/no").status, 404);
  EXPECT_EQ(Get(base + "/download").status, 400);
  EXPECT_EQ(Get(base + "/list").json()["path"], "/");
  EXPECT_EQ(Get("/v1/inspect/00000000-0000-4000-8000-000000000000/list?path=/").status, 404);
  EXPECT_EQ(backend_->Request("HEAD", base + "/download?path=/etc/passwd").status, 200);
  EXPECT_EQ(backend_->Request("HEAD", base + "/download?path=/no").status, 404);
}

TEST_F(ImageApiTest, LargeFilesAndListingsComeWhole) {
  const std::string uuid = NewImage(
      "head -c 5000000 /dev/urandom > /big; sha256sum < /big > /sum; mkdir /many; cd /many; for i "
      "in $(seq 1 600); do : > "
      "some-file-with-a-name-$i; done");
  const std::string base = "/v1/inspect/" + uuid;
  EXPECT_EQ(Get(base + "/download?path=/big").body.size(), 5000000);
  EXPECT_EQ(Get(base + "/list?path=/many").json()["files"].size(), 600);
}

TEST_F(ImageApiTest, DownloadsRanges) {
  const std::string uuid = NewImage("printf 0123456789 > /digits");
  const std::string target = absl::StrCat("/v1/inspect/", uuid, "/download?path=/digits");
  const auto get = [&](const std::string& range) {
    return backend_->Request("GET", target, nullptr, "any", {{"Range", range}});
  };
  const Answer part = get("bytes=2-4");
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(part.body, "234");
  EXPECT_EQ(part.headers.at("Content-Range"), "bytes 2-4/10");
  EXPECT_EQ(get("bytes=-3").body, "789");
  EXPECT_EQ(get("bytes=10-").status, 416);
  EXPECT_EQ(get("bytes=0-1,5-6").status, 200);
  const Answer head = backend_->Request("HEAD", target);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.headers.at("Content-Length"), "10");
}

TEST_F(ImageApiTest, ArchivesDirectoriesAndFiles) {
  const std::string uuid = NewImage("mkdir -p /a/b; echo in > /a/b/c; ln -s c /a/b/d");
  const auto get = [&](const std::string& method, const std::string& path) {
    return backend_->Request(method, absl::StrCat("/v1/inspect/", uuid, "/archive?path=", path));
  };
  const Answer archive = get("GET", "/a");
  EXPECT_EQ(archive.status, 200);
  EXPECT_EQ(archive.headers.at("Content-Type"), "application/x-tar");
  EXPECT_EQ(archive.body.substr(257, 5), "ustar");
  for (const char* name : {"a/", "a/b/", "a/b/c", "a/b/d"}) {
    EXPECT_THAT(archive.body, HasSubstr(name + std::string(1, '\0')));
  }
  EXPECT_EQ(archive.body.size() % 512, 0);
  // An extended header for the time, the header, the content, the end.
  EXPECT_EQ(get("GET", "/a/b/c").body.size(), 512 * 6);
  const Answer head = get("HEAD", "/a");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.body, "");
  EXPECT_EQ(get("GET", "/none").status, 404);
  EXPECT_EQ(get("HEAD", "/none").status, 404);
  EXPECT_EQ(Get("/v1/inspect/00000000-0000-4000-8000-000000000000/archive").status, 404);
}

TEST_F(ImageApiTest, GrepFindsLines) {
  const std::string uuid = NewImage("mkdir /g; printf 'one\\nTwo\\nthree\\n' > /g/f");
  const auto grep = [&](const std::string& query) {
    return Get(absl::StrCat("/v1/inspect/", uuid, "/grep?path=/g&", query));
  };
  const json found = grep("pattern=t.o&pattern=one&case=insensitive&after=1").json();
  EXPECT_EQ(found["path"], "/g");
  EXPECT_EQ(found["patterns"], json({"t.o", "one"}));
  EXPECT_EQ(found["truncated"], false);
  ASSERT_EQ(found["matches"].size(), 3);
  const json& second = found["matches"][1];
  EXPECT_EQ(second["path"], "g/f");
  EXPECT_EQ(second["line_number"], 2);
  EXPECT_EQ(second["absolute_offset"], 4);
  EXPECT_EQ(second["line_text"], "Two\n");
  EXPECT_EQ(second["type"], "match");
  EXPECT_EQ(second["submatches"], json::parse(R"([{"text": "Two", "start": 0, "end": 3}])"));
  EXPECT_EQ(found["matches"][2]["type"], "context");
  EXPECT_EQ(grep("pattern=.&max_total=1").json()["truncated"], true);
  EXPECT_EQ(grep("").status, 400);
  EXPECT_EQ(grep("pattern=(").status, 400);
  EXPECT_EQ(grep("pattern=x&case=upper").status, 400);
  EXPECT_EQ(grep("pattern=x&path=/none").status, 404);
}

TEST_F(ImageApiTest, WhoamiListsPermissionsAndLimits) {
  const json whoami = Get("/v1/whoami").json();
  EXPECT_EQ(whoami["permissions"]["list"], true);
  EXPECT_EQ(whoami["permissions"]["spawn"], true);
  EXPECT_TRUE(whoami["token_uuid"].is_string());
  EXPECT_TRUE(whoami["token_expiration"].is_null());
  EXPECT_EQ(whoami["operations_stat"]["running_instances"], 0);
  EXPECT_EQ(whoami["limits"]["instance_max_timeout"], 3600);
  EXPECT_GT(whoami["limits"]["instance_max_memory_bytes"], 0);
  EXPECT_EQ(whoami["limits"]["instance_max_processes"], 4096);
}

TEST_F(ImageApiTest, UnknownRoutesAndMissingTokensHaveTheErrorShape) {
  const Answer unknown = Get("/v1/no/such/route");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(unknown.json()["status"], 404);
  EXPECT_TRUE(unknown.json()["error"].is_string());
  EXPECT_EQ(Get("/").status, 404);
  EXPECT_EQ(backend_->Request("POST", "/v1/images", json::object()).status, 405);
  const Answer anonymous = backend_->Request("GET", "/v1/whoami", nullptr, "");
  EXPECT_EQ(anonymous.status, 401);
  EXPECT_EQ(anonymous.json()["status"], 401);
}

}  // namespace
}  // namespace contree
