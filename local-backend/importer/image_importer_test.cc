// Imports from a registry that lies, into a store of the test's own: whatever it does, the import
// fails with the reason, and nothing of it stays.

#include "local-backend/importer/image_importer.h"

#include <sys/mount.h>
#include <sys/statvfs.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/testing/status_matchers.h"
#include "local-backend/testing/namespace_test_main.h"
#include "tests/harness/oci_image.h"
#include "tests/harness/scripted_server.h"

namespace contree {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing_harness::MakeLayer;
using testing_harness::MakeManifest;
using testing_harness::ScriptedReply;
using testing_harness::ScriptedRequest;
using testing_harness::ScriptedServer;
using testing_harness::Sha256DigestOf;
using testing_harness::TestImage;

constexpr char kAlice[] = "alice";
constexpr char kSecret[] = "the-secret-of-alice";

// A registry with one image, whose answers a test may replace.
class LyingRegistry {
 public:
  // True: it answered.
  using Lie = std::function<bool(const ScriptedRequest&, ScriptedReply&)>;

  explicit LyingRegistry(const TestImage& image, Lie lie = nullptr)
      : manifest_(MakeManifest(image, blobs_)),
        lie_(std::move(lie)),
        server_([this](const ScriptedRequest& request, ScriptedReply& reply) {
          if (lie_ == nullptr || !lie_(request, reply)) TellTheTruth(request, reply);
        }) {}

  ScriptedServer& server() { return server_; }
  std::string reference() const { return server_.host() + "/team/app:1"; }
  std::string manifest_digest() const { return Sha256DigestOf(manifest_); }

  void TellTheTruth(const ScriptedRequest& request, ScriptedReply& reply) {
    if (absl::StrContains(request.target, "/manifests/")) {
      return reply.Answer(200, {"Content-Type: application/vnd.oci.image.manifest.v1+json"},
                          manifest_);
    }
    const size_t at = request.target.find("/blobs/");
    const auto blob =
        at == std::string::npos ? blobs_.end() : blobs_.find(request.target.substr(at + 7));
    if (blob != blobs_.end()) return reply.Answer(200, {}, blob->second);
    reply.Answer(request.target == "/v2/" ? 200 : 404, {}, "");
  }

 private:
  std::map<std::string, std::string> blobs_;
  const std::string manifest_;
  const Lie lie_;
  ScriptedServer server_;
};

bool IsLayer(const ScriptedRequest& request, const TestImage& image) {
  return absl::StrContains(request.target, Sha256DigestOf(image.layers[0].bytes));
}

TestImage OneFile(const std::string& content) {
  return {.layers = {{.bytes = MakeLayer({{.path = "file", .content = content}})}}};
}

class ImageImporterTest : public testing::Test {
 protected:
  explicit ImageImporterTest(const std::string& directory = NewTestDirectory())
      : directory_(directory) {
    auto store = ImageStore::Open(directory_);
    EXPECT_OK(store);
    store_ = *std::move(store);
    importer_ = std::make_unique<ImageImporter>(RegistryNetworkOptions(), store_.get());
  }

  absl::StatusOr<ImportResult> Import(const std::string& reference,
                                      absl::Duration timeout = absl::Seconds(60),
                                      RegistryCredentials credentials = {}) {
    const absl::StatusOr<ImageReference> parsed = ParseImageReference(reference);
    if (!parsed.ok()) return parsed.status();
    return importer_->Import({.reference = *parsed,
                              .credentials = std::move(credentials),
                              .tag = "",
                              .timeout = timeout,
                              .operation_uuid = "operation"},
                             cancel_, [](const std::string&) {});
  }

  // What is below the store's directory besides its databases, once it has removed what it removes.
  std::vector<std::string> Left() {
    importer_.reset();
    store_.reset();
    std::vector<std::string> left;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_)) {
      const std::string path = entry.path().string().substr(directory_.size() + 1);
      if (!absl::StartsWith(path, "images.db") && path.find('/') != std::string::npos) {
        left.push_back(path);
      }
    }
    return left;
  }

  const std::string directory_;
  std::unique_ptr<ImageStore> store_;
  std::unique_ptr<ImageImporter> importer_;
  CancelEvent cancel_;
};

TEST_F(ImageImporterTest, TheTruthIsImported) {
  LyingRegistry registry(OneFile("content"));
  ASSERT_OK_AND_ASSIGN(const ImportResult result, Import(registry.reference()));
  EXPECT_EQ(result.unpacked_bytes, 7);
  ASSERT_OK_AND_ASSIGN(
      const ImportResult by_digest,
      Import(absl::StrCat(registry.server().host(), "/team/app@", registry.manifest_digest())));
  EXPECT_EQ(by_digest.image_uuid, result.image_uuid);
  EXPECT_EQ(Left(), (std::vector<std::string>{"layers/1", "layers/1/file"}));
}

TEST_F(ImageImporterTest, AWrongBlobIsThrownAway) {
  const TestImage image = OneFile("content");
  std::string other = image.layers[0].bytes;
  other.back() ^= 1;
  LyingRegistry registry(image, [&](const ScriptedRequest& request, ScriptedReply& reply) {
    if (!IsLayer(request, image)) return false;
    reply.Answer(200, {}, other);
    return true;
  });
  EXPECT_THAT(
      Import(registry.reference()),
      StatusIs(absl::StatusCode::kInvalidArgument,
               AllOf(HasSubstr("something else than " + Sha256DigestOf(image.layers[0].bytes)),
                     HasSubstr(Sha256DigestOf(other)))));
  EXPECT_TRUE(Left().empty());
}

TEST_F(ImageImporterTest, AWrongManifestIsThrownAway) {
  LyingRegistry registry(OneFile("content"));
  LyingRegistry other(OneFile("other"));
  EXPECT_THAT(Import(absl::StrCat(registry.server().host(), "/team/app@", other.manifest_digest())),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("something else than " + other.manifest_digest())));
  EXPECT_TRUE(Left().empty());
}

TEST_F(ImageImporterTest, EndlessBlobsAndManifestsAreBrokenOff) {
  const TestImage image = OneFile("content");
  for (const bool is_manifest : {false, true}) {
    LyingRegistry registry(image, [&](const ScriptedRequest& request, ScriptedReply& reply) {
      if (is_manifest ? !absl::StrContains(request.target, "/manifests/")
                      : !IsLayer(request, image)) {
        return false;
      }
      reply.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      const std::string chunk = absl::StrCat("10000\r\n", std::string(65536, ' '), "\r\n");
      while (reply.Send(chunk)) {
      }
      return true;
    });
    EXPECT_THAT(Import(registry.reference()),
                StatusIs(is_manifest ? absl::StatusCode::kResourceExhausted
                                     : absl::StatusCode::kInvalidArgument,
                         HasSubstr("thrown away")));
  }
  EXPECT_TRUE(Left().empty());
}

TEST_F(ImageImporterTest, ABlobThatComesTooSlowlyEndsWithTheTimeout) {
  const TestImage image = OneFile("content");
  LyingRegistry registry(image, [&](const ScriptedRequest& request, ScriptedReply& reply) {
    if (!IsLayer(request, image)) return false;
    reply.Send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    while (reply.Send("x") && reply.Pause(absl::Milliseconds(20))) {
    }
    return true;
  });
  const absl::Time begin = absl::Now();
  EXPECT_THAT(Import(registry.reference(), absl::Seconds(2)),
              StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("timeout of 2 s")));
  EXPECT_LT(absl::Now() - begin, absl::Seconds(20));
  EXPECT_TRUE(Left().empty());
}

TEST_F(ImageImporterTest, ABlobThatBreaksOffIsFetchedAgain) {
  const TestImage image = OneFile("content");
  std::atomic<int> broken = 2;
  LyingRegistry registry(image, [&](const ScriptedRequest& request, ScriptedReply& reply) {
    if (!IsLayer(request, image) || broken-- <= 0) return false;
    const std::string& bytes = image.layers[0].bytes;
    reply.Send(absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: ", bytes.size(), "\r\n\r\n",
                            bytes.substr(0, bytes.size() / 2)));
    return true;
  });
  EXPECT_OK(Import(registry.reference()));
}

TEST_F(ImageImporterTest, CancellingEndsItAtOnce) {
  const TestImage image = OneFile("content");
  LyingRegistry registry(image, [&](const ScriptedRequest& request, ScriptedReply& reply) {
    if (!IsLayer(request, image)) return false;
    cancel_.Cancel();
    reply.Pause(absl::Minutes(1));
    return true;
  });
  const absl::Time begin = absl::Now();
  EXPECT_THAT(Import(registry.reference()),
              StatusIs(absl::StatusCode::kCancelled, HasSubstr("was cancelled")));
  EXPECT_LT(absl::Now() - begin, absl::Seconds(20));
  EXPECT_TRUE(Left().empty());
}

TEST_F(ImageImporterTest, ALayerThatIsRefusedLeavesThoseBelowItForTheNextAttempt) {
  TestImage image = OneFile("base");
  image.layers.push_back({.bytes = MakeLayer({{.path = "ok"}, {.path = "../escaped"}})});
  LyingRegistry registry(image);
  EXPECT_THAT(Import(registry.reference()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("leads upwards")));
  ASSERT_OK_AND_ASSIGN(const std::vector<Image> images, store_->List({}));
  EXPECT_TRUE(images.empty());
  EXPECT_EQ(Left(), (std::vector<std::string>{"layers/1", "layers/1/file"}));
}

TEST_F(ImageImporterTest, CredentialsGoToNoTokenServerOfAnotherHost) {
  ScriptedServer other([](const auto&, ScriptedReply& reply) { reply.Answer(200, {}, "{}"); },
                       "127.0.0.2");
  LyingRegistry registry(OneFile("x"), [&](const ScriptedRequest&, ScriptedReply& reply) {
    reply.Answer(401, {absl::StrCat("WWW-Authenticate: Bearer realm=\"", other.url(), "/token\"")},
                 "");
    return true;
  });
  EXPECT_THAT(Import(registry.reference(), absl::Seconds(60),
                     {.username = kAlice, .secret = SecretString(absl::string_view(kSecret))}),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr(other.url())));
  EXPECT_TRUE(other.requests().empty());
  EXPECT_FALSE(registry.server().Saw(kSecret, kAlice));
}

TEST_F(ImageImporterTest, CredentialsDoNotFollowABlobToWhereItLies) {
  const TestImage image = OneFile("content");
  ScriptedServer storage(
      [&](const auto&, ScriptedReply& reply) { reply.Answer(200, {}, image.layers[0].bytes); },
      "127.0.0.2");
  LyingRegistry registry(image, [&](const ScriptedRequest& request, ScriptedReply& reply) {
    if (request.Header("authorization").empty()) {
      reply.Answer(401, {"WWW-Authenticate: Basic realm=\"r\""}, "");
      return true;
    }
    if (!IsLayer(request, image)) return false;
    reply.Answer(307, {"Location: " + storage.url() + "/signed"}, "");
    return true;
  });
  ASSERT_OK(Import(registry.reference(), absl::Seconds(60),
                   {.username = kAlice, .secret = SecretString(absl::string_view(kSecret))}));
  EXPECT_TRUE(registry.server().Saw(kSecret, kAlice));
  EXPECT_EQ(storage.requests().size(), 1u);
  EXPECT_EQ(storage.requests()[0].Header("authorization"), "");
  EXPECT_FALSE(storage.Saw(kSecret, kAlice));
}

// A store on a disk of four megabytes.
class SmallDiskTest : public ImageImporterTest {
 protected:
  SmallDiskTest() : ImageImporterTest(NewSmallDisk()) {}
  ~SmallDiskTest() override { umount2(directory_.c_str(), MNT_DETACH); }

  static std::string NewSmallDisk() {
    const std::string directory = NewTestDirectory();
    EXPECT_EQ(mount("small", directory.c_str(), "tmpfs", 0, "size=4m,mode=755"), 0) << errno;
    return directory;
  }
  int64_t Free() const {
    struct statvfs disk = {};
    statvfs(directory_.c_str(), &disk);
    return static_cast<int64_t>(disk.f_bavail) * static_cast<int64_t>(disk.f_frsize);
  }
};

TEST_F(SmallDiskTest, AnImageThatCannotFitIsNotDownloaded) {
  std::string noise;
  uint32_t seed = 1;
  while (noise.size() < 6'000'000) {
    seed = seed * 1664525 + 1013904223;
    noise.push_back(static_cast<char>(seed >> 24));
  }
  const TestImage image = OneFile(noise);
  LyingRegistry registry(image);
  EXPECT_THAT(Import(registry.reference()),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       AllOf(HasSubstr("the image does not fit"), HasSubstr("are free"))));
  for (const ScriptedRequest& request : registry.server().requests()) {
    EXPECT_FALSE(IsLayer(request, image));
  }
  EXPECT_TRUE(Left().empty());
}

TEST_F(SmallDiskTest, AnImageThatDoesNotFitUnpackedLeavesTheDiskAsItWas) {
  const int64_t before = Free();
  LyingRegistry registry(OneFile(std::string(8'000'000, 'z')));
  EXPECT_THAT(Import(registry.reference()),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("the disk is full")));
  EXPECT_TRUE(Left().empty());
  EXPECT_GE(Free(), before - 256 * 1024);  // the database may have grown
}

}  // namespace
}  // namespace contree
