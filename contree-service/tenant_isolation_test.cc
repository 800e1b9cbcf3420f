// Two tenants of one platform, and two platforms of one tenant: what is remembered for the one is
// never given to the other.

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/rpc/call_context.h"
#include "common/testing/status_matchers.h"
#include "common/time/clock.h"
#include "contree-service/api/api_directory.h"
#include "contree-service/file_handlers.h"
#include "contree-service/image_resolver.h"
#include "contree-service/testing/scripted_api.h"

namespace contree {
namespace {

using ::testing::ElementsAre;

constexpr char kImage[] = "95ba4f1b-a511-325b-8000-000000000002";

class EndpointByTenant final : public ApiEndpointSource {
 public:
  absl::StatusOr<ApiEndpoint> EndpointFor(const CallContext& context) override {
    const auto found = endpoints.find(context.tenant);
    if (found == endpoints.end()) return absl::UnauthenticatedError("who?");
    return found->second;
  }
  absl::flat_hash_map<std::string, ApiEndpoint> endpoints;
};

class TenantIsolationTest : public testing::Test {
 protected:
  TenantIsolationTest() {
    ServeByToken(server_);
    ServeByToken(elsewhere_);
    for (const char* tenant : {"alice", "bob"}) {
      endpoints_.endpoints[tenant] = {
          .base_url = server_.url(), .token = tenant, .project = "", .platform = ""};
    }
  }

  // Every answer holds the token that asked for it, so that a wrong one shows.
  static void ServeByToken(ScriptedApi& server) {
    const std::string inspect = absl::StrCat("GET /v1/inspect/", kImage);
    server.On(inspect + "/download", [&](HttpExchange& exchange) {
      exchange.Respond(200, "application/octet-stream",
                       absl::StrCat(server.url(), " ", *exchange.Header("Authorization")));
    });
    server.On(inspect + "/list", [](HttpExchange& exchange) {
      exchange.Respond(200, "application/json",
                       absl::StrCat(R"({"path":"/","files":[{"path":")",
                                    exchange.Header("Authorization")->substr(7), "\"}]}"));
    });
    server.On("GET /v1/inspect/", [](HttpExchange& exchange) {
      exchange.SetHeader("Location", absl::StrCat(kImage, "/"));
      exchange.Respond(302);
    });
  }

  static CallContext As(const std::string& tenant) {
    CallContext context = NewCallContext(absl::Seconds(20));
    context.tenant = tenant;
    return context;
  }
  std::string Read(const std::string& tenant, const std::string& image = kImage) {
    v1::ReadFileRequest request;
    request.set_image(image);
    request.set_path("/a");
    std::string data;
    EXPECT_OK(files_.ReadFile(request, As(tenant), [&](const v1::ReadFileResponse& response, bool) {
      data += response.data();
      return absl::OkStatus();
    }));
    return data;
  }
  std::vector<std::string> List(const std::string& tenant) {
    v1::ListFilesRequest request;
    request.set_image(kImage);
    request.set_path("/");
    std::vector<std::string> paths;
    EXPECT_OK(
        files_.ListFiles(request, As(tenant), [&](const v1::ListFilesResponse& response, bool) {
          for (const v1::FileEntry& entry : response.entries()) paths.push_back(entry.path());
          return absl::OkStatus();
        }));
    return paths;
  }

  ScriptedApi server_;
  ScriptedApi elsewhere_;
  EndpointByTenant endpoints_;
  RealClock clock_;
  ApiDirectory apis_{&endpoints_, &clock_};
  ImageResolver resolver_{&clock_};
  FileHandlers files_{&apis_, &resolver_};
};

TEST_F(TenantIsolationTest, TenantsOfOnePlatformShareNothing) {
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Read("alice"), server_.url() + " Bearer alice");
    EXPECT_EQ(Read("bob"), server_.url() + " Bearer bob");
    EXPECT_THAT(List("alice"), ElementsAre("/alice"));
    EXPECT_THAT(List("bob"), ElementsAre("/bob"));
  }
  EXPECT_EQ(server_.Count(absl::StrCat("GET /v1/inspect/", kImage, "/download")), 2);
  EXPECT_EQ(server_.Count(absl::StrCat("GET /v1/inspect/", kImage, "/list")), 2);
}

TEST_F(TenantIsolationTest, ATagIsResolvedForEachTenant) {
  for (int i = 0; i < 2; ++i) {
    Read("alice", "tag:a");
    Read("bob", "tag:a");
  }
  EXPECT_EQ(server_.Count("GET /v1/inspect/"), 2);
}

TEST_F(TenantIsolationTest, PlatformsOfOneTenantShareNothing) {
  EXPECT_EQ(Read("alice"), server_.url() + " Bearer alice");
  endpoints_.endpoints["alice"].base_url = elsewhere_.url();
  EXPECT_EQ(Read("alice"), elsewhere_.url() + " Bearer alice");
}

TEST_F(TenantIsolationTest, WhoIsUnknownReachesNothing) {
  Read("alice");
  v1::ReadFileRequest request;
  request.set_image(kImage);
  request.set_path("/a");
  EXPECT_THAT(files_.ReadFile(request, As("mallory"),
                              [](const v1::ReadFileResponse&, bool) {
                                ADD_FAILURE() << "content for a stranger";
                                return absl::OkStatus();
                              }),
              StatusIs(absl::StatusCode::kUnauthenticated, testing::_));
}

}  // namespace
}  // namespace contree
