// The real program with --isolation=microvm.

#include <chrono>
#include <fstream>

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
using testing::Not;

std::string Out(const json& operation) {
  return operation["metadata"]["result"]["stdout"].value("value", "");
}

// Skipped, with the backend's own reason, where the machine lacks what the tier needs.
class MicrovmApiTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = new TempDirectory();
    backend_ = new BackendProcess(directory_->File("state"),
                                  {"--isolation=microvm", "--vm-accelerator=software",
                                   "--instance-memory=512MiB", "--admin-listen=127.0.0.1:0"});
  }
  static void TearDownTestSuite() {
    delete backend_;
    delete directory_;
  }
  void SetUp() override {
    const std::string& said = backend_->readiness();
    if (absl::StrContains(said, "install the package")) GTEST_SKIP() << said;
    ASSERT_EQ(said, "ready\n");
  }

  static TempDirectory* directory_;
  static BackendProcess* backend_;
};
TempDirectory* MicrovmApiTest::directory_ = nullptr;
BackendProcess* MicrovmApiTest::backend_ = nullptr;

TEST_F(MicrovmApiTest, WhoamiSaysWhichTierIsInForce) {
  EXPECT_EQ(backend_->Request("GET", "/v1/whoami").json()["isolation"], "microvm");
}

TEST_F(MicrovmApiTest, HealthzSaysWhatIsolatesAndWhatHoldsLimits) {
  const std::string health = backend_->Health();
  EXPECT_THAT(health, testing::StartsWith("ok\nisolation: microvm: QEMU with software emulation"));
  EXPECT_THAT(health, HasSubstr("\nlimits: the virtual machine"));
  EXPECT_THAT(health, HasSubstr("536870912 bytes of memory"));
}

TEST_F(MicrovmApiTest, CommandsSeeAKernelOfTheirOwn) {
  const json operation =
      backend_->Run({{"command", "cat /proc/version /proc/cmdline; ls /dev; exit 4"}});
  std::string here;
  std::getline(std::ifstream("/proc/version"), here);
  EXPECT_THAT(Out(operation), HasSubstr("contree.mark=")) << operation.dump(1);
  EXPECT_THAT(Out(operation), Not(HasSubstr(here)));
  EXPECT_THAT(Out(operation), Not(HasSubstr("vport")));
  EXPECT_EQ(operation["metadata"]["result"]["state"]["exit_code"], 4);
}

TEST_F(MicrovmApiTest, WhatACommandChangesIsInTheNextImage) {
  const json first = backend_->Run({{"command",
                                     "echo kept > /tmp/file; chown 7:8 /tmp/file; chmod 640 "
                                     "/tmp/file; rm /bin/vi; mkfifo /tmp/fifo"},
                                    {"disposable", false}});
  const std::string image = first["result"].value("image", "");
  ASSERT_FALSE(image.empty()) << first.dump(1);
  const json second = backend_->Run(
      {{"image", image},
       {"command",
        "cat /tmp/file; stat -c '%u %g %a' /tmp/file; test -p /tmp/fifo && echo fifo; "
        "ls /bin/vi 2>/dev/null || echo gone"}});
  EXPECT_EQ(Out(second), "kept\n7 8 640\nfifo\ngone\n") << second.dump(1);
}

TEST_F(MicrovmApiTest, ACommandThatChangesNothingKeepsTheImage) {
  const json operation = backend_->Run({{"command", "ls / /tmp"}, {"disposable", false}});
  EXPECT_EQ(operation["image_uuid"], operation["result_image_uuid"]) << operation.dump(1);
}

TEST_F(MicrovmApiTest, ARunThatAsksForANetworkIsToldThatThereIsNone) {
  const std::string operation =
      backend_->Start({{"command", "true"}, {"networking", {{"enabled", true}}}});
  std::string said;
  for (const ServerEvent& event : backend_->Follow(operation)) {
    if (event.type == "network") said += event.event.dump();
  }
  EXPECT_THAT(said, HasSubstr("--isolation=microvm has none"));
}

TEST_F(MicrovmApiTest, ATimeoutIsOfTheCommandAlone) {
  const json operation = backend_->Run(
      {{"command", "echo kept > /kept; sleep 1000"}, {"timeout", 1}, {"disposable", false}});
  EXPECT_EQ(operation["metadata"]["result"]["state"]["timed_out"], true) << operation.dump(1);
  const std::string image = operation["result"].value("image", "");
  ASSERT_FALSE(image.empty()) << operation.dump(1);
  EXPECT_EQ(Out(backend_->Run({{"image", image}, {"command", "cat /kept"}})), "kept\n");
}

TEST_F(MicrovmApiTest, AMachineThatStartsIsCancelledAtOnce) {
  const std::string operation = backend_->Start({{"command", "sleep 1000"}});
  const auto began = std::chrono::steady_clock::now();
  EXPECT_LT(backend_->Request("DELETE", "/v1/operations/" + operation).status, 300);
  EXPECT_EQ(backend_->Follow(operation).back().event["data"]["status"], "CANCELLED");
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));
}

TEST_F(MicrovmApiTest, AKernelThatIsNotThereIsSaid) {
  const TempDirectory directory;
  BackendProcess backend(directory.File("state"),
                         {"--isolation=microvm", "--vm-kernel=/no/kernel"});
  EXPECT_THAT(backend.readiness(), HasSubstr("there is no kernel /no/kernel"));
  EXPECT_EQ(backend.Wait(), 1);
}

TEST(MicrovmFlagTest, WithoutQemuTheBackendDoesNotStart) {
  const TempDirectory directory;
  BackendProcess backend(directory.File("state"), {"--isolation=microvm", "--qemu=/no/qemu"});
  EXPECT_THAT(backend.readiness(), HasSubstr("the program /no/qemu is not there; install the "
                                             "package qemu-system-x86"));
  EXPECT_EQ(backend.Wait(), 1);
}

}  // namespace
}  // namespace contree
