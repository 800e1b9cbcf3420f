// A Debian image behaves as in a container: packages are installed, users made, owners changed;
// what would be power over the machine is refused. The image is made by mmdebstrap from wherever
// this machine gets its packages; without a network the tests say so and are skipped.

#include <stdlib.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
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

std::string Slurp(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::string LastLine(const std::string& text) {
  const std::vector<std::string> lines = absl::StrSplit(text, '\n', absl::SkipWhitespace());
  return lines.empty() ? "" : lines.back();
}

// Debian's name of this release.
std::string Codename() {
  for (absl::string_view line : absl::StrSplit(Slurp("/etc/os-release"), '\n')) {
    if (absl::ConsumePrefix(&line, "VERSION_CODENAME=")) return std::string(line);
  }
  return "";
}

class DebianImageTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = new TempDirectory();
    const std::string archive = directory_->File("debian.tar");
    reason_ = new std::string(MakeImage(archive));
    if (!reason_->empty()) return;
    backend_ = new BackendProcess(directory_->File("state"), {});
    testing_harness::TestRegistry registry;
    const std::string reference = registry.Push(
        "debian:1",
        {{.layers = {{.bytes = Slurp(archive), .packing = testing_harness::Packing::kPlain}}}});
    const Answer answer = backend_->Request(
        "POST", "/v1/images/import",
        {{"registry", {{"url", "docker://" + reference}}}, {"tag", "debian"}, {"timeout", 300}});
    ASSERT_EQ(answer.status, 201) << answer.body;
    const std::string id = answer.json().at("uuid");
    backend_->Follow(id);
    const json operation = backend_->Request("GET", "/v1/operations/" + id).json();
    ASSERT_EQ(operation.at("status"), "SUCCESS") << operation;
  }

  static void TearDownTestSuite() {
    delete backend_;
    delete directory_;
    delete reason_;
  }

  void SetUp() override {
    if (!reason_->empty()) GTEST_SKIP() << *reason_;
  }

  // Empty, or why there is none.
  static std::string MakeImage(const std::string& archive) {
    if (geteuid() != 0) return "only root makes Debian images here";
    std::string sources;
    for (const char* path : {"/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"}) {
      if (sources.empty() && std::filesystem::exists(path)) sources = path;
    }
    if (sources.empty() || Codename().empty()) return "this machine has no Debian package sources";
    const std::string acquire = directory_->File("90acquire");
    const std::string log = directory_->File("mmdebstrap.log");
    // What apt here needs to reach them, apt in the image needs too.
    const std::string command = absl::StrCat(
        "apt-config dump 2>/dev/null | grep '^Acquire::' > ", acquire,
        "; mmdebstrap --quiet --variant=minbase --include=iputils-ping --skip=output/dev "
        "--customize-hook='copy-in ",
        acquire, " /etc/apt/apt.conf.d' ", Codename(), " ", archive, " ", sources, " > ", log,
        " 2>&1");
    const int status = system(command.c_str());
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return "";
    return absl::StrCat("Debian packages are out of reach: ", LastLine(Slurp(log)));
  }

  static json Run(const std::string& command, json fields = json::object()) {
    fields["image"] = fields.value("image", "tag:debian");
    fields["command"] = command;
    fields["timeout"] = 600;
    return backend_->Run(fields);
  }
  static std::string Out(const json& operation) {
    const json& result = operation["metadata"]["result"];
    if (!result.is_object()) return operation.dump();
    return absl::StrCat(result["stdout"]["value"].get<std::string>(),
                        result["stderr"]["value"].get<std::string>());
  }

  static TempDirectory* directory_;
  static BackendProcess* backend_;
  static std::string* reason_;
};

TempDirectory* DebianImageTest::directory_ = nullptr;
BackendProcess* DebianImageTest::backend_ = nullptr;
std::string* DebianImageTest::reason_ = nullptr;

TEST_F(DebianImageTest, PackagesAreInstalledFromTheNetwork) {
  const json installed =
      Run("apt-get -q update && apt-get -q install -y --no-install-recommends hello && hello",
          {{"disposable", false}, {"env", {{"DEBIAN_FRONTEND", "noninteractive"}}}});
  const std::string out = Out(installed);
  if (out.find("eth0") == std::string::npos && !std::filesystem::exists("/dev/net/tun")) {
    GTEST_SKIP() << "sandboxes have no network here";
  }
  ASSERT_EQ(installed["status"], "SUCCESS") << installed;
  EXPECT_EQ(installed["metadata"]["result"]["state"]["exit_code"], 0) << out;
  EXPECT_THAT(out, HasSubstr("Hello, world!\n"));
  EXPECT_EQ(Out(Run("hello", {{"image", installed["result_image_uuid"]}})), "Hello, world!\n");
}

TEST_F(DebianImageTest, UsersAreMadeAndOwnersChanged) {
  EXPECT_EQ(Out(Run("useradd --create-home bob && su bob -c 'id -un; cd; pwd; touch mine' && "
                    "stat -c %U:%G /home/bob/mine && touch /f && chown bob:bob /f && "
                    "stat -c %U:%G:%u /f && chmod 4755 /f && stat -c %a /f && "
                    "su bob -c 'touch /root/not-mine 2>/dev/null || echo refused'; "
                    "userdel bob; getent passwd bob || echo gone")),
            "bob\n/home/bob\nbob:bob\nbob:bob:1000\n4755\nrefused\ngone\n");
}

TEST_F(DebianImageTest, MountsAreRefused) {
  const std::string out = Out(Run("mount -t tmpfs none /mnt; echo $?; umount /proc; echo $?"));
  EXPECT_THAT(out, HasSubstr("permission denied"));
  EXPECT_THAT(out, Not(testing::StartsWith("0\n")));
  EXPECT_THAT(out, Not(HasSubstr("\n0\n")));
}

TEST_F(DebianImageTest, EverybodyPings) {
  const std::string out =
      Out(Run("useradd bob; ping -c 1 127.0.0.1 && su bob -c 'ping -c 1 127.0.0.1'"));
  EXPECT_THAT(out, HasSubstr("1 received"));
  EXPECT_THAT(out.substr(out.find("1 received") + 10), HasSubstr("1 received")) << out;
}

TEST_F(DebianImageTest, RootInsideIsNobodyOutside) {
  EXPECT_THAT(
      Out(Run("cat /proc/self/uid_map; grep -e CapEff -e NoNewPrivs -e 'Seccomp:' "
              "/proc/self/status; sysctl -w kernel.hostname=x 2>&1; date -s 2001-01-01 2>&1; "
              "dmesg 2>&1; nice -n -5 true 2>&1")),
      testing::AllOf(HasSubstr("CapEff:\t00000000a00405fb"), HasSubstr("NoNewPrivs:\t1"),
                     HasSubstr("Seccomp:\t2"), HasSubstr("cannot set date"),
                     HasSubstr("Operation not permitted")));
}

}  // namespace
}  // namespace contree
