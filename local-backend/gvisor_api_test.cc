// The real program with --isolation=gvisor, and what it says of isolation that it cannot give.

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/testing/temp_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "local-backend/testing/backend_process.h"

namespace contree {
namespace {

using nlohmann::json;
using testing::HasSubstr;

std::string Out(const json& operation) {
  return operation["metadata"]["result"]["stdout"].value("value", "");
}

// Skipped, with the backend's own reason, where the machine lacks what the tier needs.
class GvisorApiTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = new TempDirectory();
    backend_ = new BackendProcess(directory_->File("state"), {"--isolation=gvisor"});
  }
  static void TearDownTestSuite() {
    delete backend_;
    delete directory_;
  }
  void SetUp() override {
    const std::string& said = backend_->readiness();
    if (absl::StrContains(said, "install the package runsc") ||
        absl::StrContains(said, "needs cgroups")) {
      GTEST_SKIP() << said;
    }
    ASSERT_EQ(said, "ready\n");
  }

  static TempDirectory* directory_;
  static BackendProcess* backend_;
};
TempDirectory* GvisorApiTest::directory_ = nullptr;
BackendProcess* GvisorApiTest::backend_ = nullptr;

TEST_F(GvisorApiTest, WhoamiSaysWhichTierIsInForce) {
  EXPECT_EQ(backend_->Request("GET", "/v1/whoami").json()["isolation"], "gvisor");
}

TEST_F(GvisorApiTest, CommandsSeeItsKernel) {
  const json operation = backend_->Run({{"command", "dmesg; exit 4"}});
  EXPECT_THAT(Out(operation), HasSubstr("Starting gVisor")) << operation.dump(1);
  EXPECT_EQ(operation["metadata"]["result"]["state"]["exit_code"], 4);
}

TEST_F(GvisorApiTest, WhatACommandChangesIsInTheNextImage) {
  const json first = backend_->Run(
      {{"command", "echo kept > /tmp/file; rm /bin/vi; true"}, {"disposable", false}});
  const std::string image = first["result"].value("image", "");
  ASSERT_FALSE(image.empty()) << first.dump(1);
  const json second =
      backend_->Run({{"image", image}, {"command", "cat /tmp/file; ls /bin/vi || echo gone"}});
  EXPECT_EQ(Out(second), "kept\ngone\n") << second.dump(1);
}

TEST_F(GvisorApiTest, ACommandThatChangesNothingKeepsTheImage) {
  const json operation = backend_->Run({{"command", "ls / /tmp"}, {"disposable", false}});
  EXPECT_EQ(operation["image_uuid"], operation["result_image_uuid"]) << operation.dump(1);
}

TEST_F(GvisorApiTest, ARunThatAsksForANetworkIsToldThatThereIsNone) {
  const std::string operation =
      backend_->Start({{"command", "true"}, {"networking", {{"enabled", true}}}});
  std::string said;
  for (const ServerEvent& event : backend_->Follow(operation)) {
    if (event.type == "network" || event.event.value("type", "") == "network") {
      said += event.event.dump();
    }
  }
  EXPECT_THAT(said, HasSubstr("--isolation=gvisor has none"));
}

TEST_F(GvisorApiTest, ATimeoutIsReported) {
  const json operation = backend_->Run({{"command", "sleep 1000"}, {"timeout", 2}});
  EXPECT_EQ(operation["metadata"]["result"]["state"]["timed_out"], true) << operation.dump(1);
}

TEST_F(GvisorApiTest, ACancelledRunEnds) {
  const std::string operation = backend_->Start({{"command", "sleep 1000"}});
  EXPECT_LT(backend_->Request("DELETE", "/v1/operations/" + operation).status, 300);
  EXPECT_EQ(backend_->Follow(operation).back().event["data"]["status"], "CANCELLED");
}

TEST(IsolationFlagTest, TheDefaultTierIsNamed) {
  const TempDirectory directory;
  BackendProcess backend(directory.File("state"), {"--admin-listen=127.0.0.1:0"});
  ASSERT_EQ(backend.readiness(), "ready\n");
  EXPECT_EQ(backend.Request("GET", "/v1/whoami").json()["isolation"], "namespaces");
  EXPECT_THAT(backend.Health(),
              testing::MatchesRegex("ok\nisolation: namespaces: user namespace, bubblewrap, "
                                    "seccomp\nlimits: (cgroup v|rlimits).*\nnetwork: .*\n"));
}

TEST(IsolationFlagTest, ATierThatIsNotThereIsRefused) {
  const TempDirectory directory;
  BackendProcess nonsense(directory.File("state"), {"--isolation=none"});
  EXPECT_THAT(nonsense.readiness(),
              HasSubstr("\"none\" is neither namespaces nor gvisor nor microvm"));
  EXPECT_EQ(nonsense.Wait(), 1);
}

TEST(IsolationFlagTest, WithoutRunscTheBackendDoesNotStart) {
  const TempDirectory directory;
  BackendProcess backend(directory.File("state"), {"--isolation=gvisor", "--runsc=/no/runsc"});
  EXPECT_THAT(backend.readiness(), HasSubstr("the program /no/runsc is not there; install the "
                                             "package runsc"));
  EXPECT_EQ(backend.Wait(), 1);
}

TEST(IsolationFlagTest, LimitsInForceAreInWhoami) {
  const TempDirectory directory;
  BackendProcess backend(directory.File("state"),
                         {"--instance-memory=300MiB", "--instance-processes=77",
                          "--disk-quota=2GiB", "--max-concurrent=3"});
  ASSERT_EQ(backend.readiness(), "ready\n");
  const json limits = backend.Request("GET", "/v1/whoami").json()["limits"];
  EXPECT_EQ(limits["instance_max_memory_bytes"], 300 << 20);
  EXPECT_EQ(limits["instance_max_processes"], 77);
  EXPECT_EQ(limits["disk_quota_bytes"], int64_t{2} << 30);
  EXPECT_EQ(limits["instance_max_concurrency"], 3);
}

}  // namespace
}  // namespace contree
