// Hostile commands through the HTTP API: what they may take of the machine and of the backend, and
// that they cannot speak with it. (What they could do to the kernel: sandbox/escape_test.cc.)

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/testing/temp_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "local-backend/sandbox/run_cgroups.h"
#include "local-backend/testing/backend_process.h"

namespace contree {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::string Slurp(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// The entry that says what the backend has.
json StartEntry(const std::string& state_directory) {
  for (absl::string_view line : absl::StrSplit(Slurp(state_directory + ".log"), '\n')) {
    json entry = json::parse(line.begin(), line.end(), nullptr, false);
    if (entry.is_object() && entry.contains("limits")) return entry;
  }
  return json::object();
}

bool HasCgroups(const std::string& state_directory) {
  return StartEntry(state_directory).value("limits", "").starts_with("cgroup");
}

bool HasNetwork(const std::string& state_directory) {
  return StartEntry(state_directory).value("network", "").starts_with("IPv4");
}

int64_t PeakMemoryKilobytes(pid_t pid) {
  for (absl::string_view line :
       absl::StrSplit(Slurp(absl::StrCat("/proc/", pid, "/status")), '\n')) {
    int64_t kilobytes;
    if (absl::ConsumePrefix(&line, "VmHWM:") && absl::ConsumeSuffix(&line, " kB") &&
        absl::SimpleAtoi(line, &kilobytes)) {
      return kilobytes;
    }
  }
  return -1;
}

const ServerEvent* Find(const std::vector<ServerEvent>& events, const std::string& type) {
  for (const ServerEvent& event : events) {
    if (event.type == type) return &event;
  }
  return nullptr;
}

TEST(EscapeApiTest, WhatIsInForceIsSaid) {
  const TempDirectory directory;
  BackendProcess backend(directory.File("state"), {"--instance-memory", "64MiB"});
  const json entry = StartEntry(directory.File("state"));
  EXPECT_THAT(entry.value("limits", ""),
              testing::AnyOf(StartsWith("cgroup v"), StartsWith("rlimits")));
  EXPECT_THAT(entry.value("limits", ""), HasSubstr("67108864 bytes of memory, 4096 processes"));
  EXPECT_THAT(entry.value("network", ""),
              testing::AnyOf(StartsWith("IPv4"), StartsWith("loopback only: ")));
}

TEST(EscapeApiTest, OutputBombIsNotKept) {
  const TempDirectory directory;
  BackendProcess backend(directory.File("state"), {});
  backend.Run({{"command", "true"}});
  const int64_t before = PeakMemoryKilobytes(backend.pid());
  const json operation = backend.Run(
      {{"command", "dd if=/dev/zero bs=1M count=100 2>/dev/null | tr '\\0' y; echo end >&2"}});
  EXPECT_EQ(operation["status"], "SUCCESS");
  const json result = operation["metadata"]["result"];
  EXPECT_EQ(result["stdout"]["truncated"], true);
  EXPECT_EQ(result["stdout"]["value"].get<std::string>().size(), 1 << 20);
  EXPECT_EQ(result["stderr"]["value"], "end\n");
  EXPECT_LT(PeakMemoryKilobytes(backend.pid()) - before, 24 * 1024);
}

TEST(EscapeApiTest, DiskBombFailsWithAReason) {
  const TempDirectory directory;
  BackendProcess backend(directory.File("state"), {});
  for (const bool disposable : {true, false}) {
    const std::string id = backend.Start(
        {{"command", "while :; do i=$((i+1)); head -c 1000000 /dev/zero > /f$i; done"},
         {"disposable", disposable},
         {"resources_limits", {{"max_layer_bytes", 24 << 20}}}});
    const std::vector<ServerEvent> events = backend.Follow(id);
    const ServerEvent* const cap = Find(events, "size_cap");
    ASSERT_NE(cap, nullptr);
    EXPECT_EQ(cap->event["data"]["limit_bytes"], 24 << 20);
    EXPECT_GT(cap->event["data"]["file_size"].get<int64_t>(), 24 << 20);
    const json operation = backend.Request("GET", "/v1/operations/" + id).json();
    EXPECT_EQ(operation["status"], "FAILED");
    EXPECT_THAT(operation["error"].get<std::string>(),
                HasSubstr("max_layer_bytes allows 25165824"));
    EXPECT_EQ(operation["result_image_uuid"], nullptr);
  }
  EXPECT_EQ(backend.Run({{"command", "echo alive"}})["metadata"]["result"]["stdout"]["value"],
            "alive\n");
}

TEST(EscapeApiTest, MemoryBombIsStoppedAndItIsSaid) {
  const TempDirectory directory;
  BackendProcess backend(directory.File("state"), {"--instance-memory", "64MiB"});
  const json result = backend.Run(
      {{"command", "dd if=/dev/zero of=/dev/null bs=300M count=1; echo $?"}})["metadata"]["result"];
  if (HasCgroups(directory.File("state"))) {
    EXPECT_EQ(result["stdout"]["value"], "137\n");
    EXPECT_THAT(result["stderr"]["value"].get<std::string>(),
                HasSubstr("contree: out of memory: a run may have 67108864 bytes"));
  } else {
    EXPECT_NE(result["stdout"]["value"], "0\n");
  }
}

TEST(EscapeApiTest, BackendsOwnPortIsOutOfReach) {
  const TempDirectory directory;
  BackendProcess backend(directory.File("state"), {"--listen", "127.0.0.1:0"});
  const std::string port = backend.url().substr(backend.url().rfind(':') + 1);
  std::vector<std::string> addresses = {"127.0.0.1", "localhost", "10.0.2.2", "10.0.2.3",
                                        "0.0.0.0"};
  ifaddrs* all = nullptr;
  ASSERT_EQ(getifaddrs(&all), 0);
  for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET) continue;
    sockaddr_in address;
    memcpy(&address, one->ifa_addr, sizeof address);
    char text[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &address.sin_addr, text, sizeof text);
    addresses.emplace_back(text);
  }
  freeifaddrs(all);
  std::string script;
  for (const std::string& address : addresses) {
    absl::StrAppend(&script,
                    "printf 'GET /v1/whoami HTTP/1.0\\r\\nAuthorization: Bearer x\\r\\n\\r\\n' | "
                    "timeout 2 nc ",
                    address, " ", port, "; ");
  }
  const json operation = backend.Run({{"command", script}, {"timeout", 60}});
  const json result = operation["metadata"]["result"];
  EXPECT_EQ(result["stdout"]["value"], "");
  // The same request from here is answered.
  EXPECT_EQ(backend.Request("GET", "/v1/whoami").status, 200);
}

TEST(EscapeApiTest, NetworkIsReportedAndLeavesNothingInTheImage) {
  const TempDirectory directory;
  BackendProcess backend(directory.File("state"), {});
  const std::string id = backend.Start(
      {{"command",
        "cat /etc/resolv.conf; ls /sys/class/net 2>/dev/null; grep -c eth0 /proc/net/dev"},
       {"disposable", false}});
  const std::vector<ServerEvent> events = backend.Follow(id);
  const ServerEvent* const network = Find(events, "network");
  ASSERT_NE(network, nullptr);
  const json data = network->event["data"];
  const json operation = backend.Request("GET", "/v1/operations/" + id).json();
  EXPECT_EQ(operation["result_image_uuid"], operation["image_uuid"]);
  if (!HasNetwork(directory.File("state"))) {
    EXPECT_THAT(data["error"].get<std::string>(), StartsWith("sandboxes have no network"));
    return;
  }
  EXPECT_EQ(data["interfaces"][0]["name"], "eth0");
  EXPECT_EQ(data["interfaces"][0]["tx_packets"], 0);
  EXPECT_EQ(data["configured"]["ip4"], "10.0.2.15/24");
  EXPECT_FALSE(data.contains("error"));
  EXPECT_THAT(operation["metadata"]["result"]["stdout"]["value"].get<std::string>(),
              testing::EndsWith("1\n"));
  // What a command makes of it is its own.
  const json changed =
      backend.Run({{"command", "echo nameserver 9.9.9.9 > /etc/resolv.conf; cat /etc/resolv.conf"},
                   {"disposable", false}});
  EXPECT_EQ(changed["metadata"]["result"]["stdout"]["value"], "nameserver 9.9.9.9\n");
  EXPECT_NE(changed["result_image_uuid"], changed["image_uuid"]);
  // Without networking, the image's is there.
  const json without = backend.Run({{"command", "cat /etc/resolv.conf; grep -c eth0 /proc/net/dev"},
                                    {"image", changed["result_image_uuid"]},
                                    {"networking", {{"enabled", false}}}});
  EXPECT_EQ(without["metadata"]["result"]["stdout"]["value"], "nameserver 9.9.9.9\n0\n");
}

TEST(EscapeApiTest, NetworkCanBeTakenFromAll) {
  const TempDirectory directory;
  BackendProcess backend(directory.File("state"), {"--network", "none"});
  const std::string id = backend.Start({{"command", "grep -c eth0 /proc/net/dev"}});
  const std::vector<ServerEvent> events = backend.Follow(id);
  ASSERT_NE(Find(events, "network"), nullptr);
  EXPECT_THAT(Find(events, "network")->event["data"]["error"].get<std::string>(),
              HasSubstr("--network=none"));
}

TEST(EscapeApiTest, GroupsOfABackendThatWasKilledAreRemovedByTheNext) {
  const TempDirectory directory;
  const std::string state = directory.File("state");
  pid_t died;
  {
    BackendProcess backend(state, {});
    if (!HasCgroups(state)) GTEST_SKIP() << "no cgroups for this user here";
    backend.Start({{"command", "sleep 1000"}});
    const std::string second = backend.Start({{"command", "true"}});
    backend.Follow(second);
    died = backend.pid();
    backend.Kill(SIGKILL);
    backend.Wait();
  }
  const auto groups = [died] {
    int found = 0;
    for (const CgroupHierarchy& hierarchy :
         ParseCgroupHierarchies(Slurp("/proc/self/mountinfo"), Slurp("/proc/self/cgroup"))) {
      for (std::string base = hierarchy.own; base.size() >= hierarchy.mount_point.size();
           base = base.substr(0, base.rfind('/'))) {
        if (std::filesystem::exists(absl::StrCat(base, "/contree/", died))) ++found;
      }
    }
    return found;
  };
  EXPECT_GT(groups(), 0);
  BackendProcess next(state, {});
  EXPECT_EQ(groups(), 0);
}

}  // namespace
}  // namespace contree
