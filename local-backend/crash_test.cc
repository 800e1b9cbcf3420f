// Kills the real program at many moments of its work, starts it again, and looks at what is left:
// on the disk, in the databases, of processes, mounts and control groups.

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/testing/temp_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "local-backend/testing/backend_process.h"
#include "tests/harness/oci_image.h"
#include "tests/harness/test_registry.h"

namespace contree {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::IsEmpty;
using testing_harness::MakeLayer;
using testing_harness::TarEntry;
using testing_harness::TestImage;
using testing_harness::TestRegistry;

constexpr int kRounds = 20;
constexpr int kEarlyRounds = 5;
// A length of sleep that nothing else on the machine has.
constexpr char kSleep[] = "98761.2345";

std::string ReadAll(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

// Polls: what was killed takes a moment to go.
template <typename Condition>
bool Eventually(Condition condition) {
  for (int i = 0; i < 1000; ++i) {
    if (condition()) return true;
    absl::SleepFor(absl::Milliseconds(20));
  }
  return false;
}

int ProcessesWith(const std::string& word) {
  int count = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    count += absl::StrContains(ReadAll(entry.path() / "cmdline"), word) ? 1 : 0;
  }
  return count;
}

// Control groups named after the process.
std::vector<std::string> GroupsOf(pid_t pid) {
  std::vector<std::string> found;
  std::error_code error;
  auto options = fs::directory_options::skip_permission_denied;
  for (fs::recursive_directory_iterator at("/sys/fs/cgroup", options, error), end; at != end;
       at.increment(error)) {
    if (error) break;
    if (at.depth() > 6 || !at->is_directory(error)) continue;
    if (at->path().filename() == absl::StrCat(pid) &&
        absl::StrContains(at->path().string(), "contree")) {
      found.push_back(at->path());
    }
  }
  return found;
}

// Three layers, of which some are new for each import, so that there is something to unpack.
TestImage ImageForImport(int number) {
  std::vector<TarEntry> base = testing_harness::BusyboxEntries();
  for (int i = 0; i < 200; ++i) {
    base.push_back({.path = absl::StrCat("base/", i), .content = std::string(2000, 'b')});
  }
  std::vector<TarEntry> top = {{.path = "number", .content = absl::StrCat(number)}};
  for (int i = 0; i < 200; ++i) {
    top.push_back({.path = absl::StrCat("top/", i), .content = absl::StrCat(number, "/", i)});
  }
  TestImage image;
  image.layers.push_back({.bytes = MakeLayer(base)});
  image.layers.push_back({.bytes = MakeLayer(top)});
  return image;
}

// What a client was told. Nothing of it may be lost.
struct Told {
  std::mutex mutex;
  std::map<std::string, std::string> images;  // uuid to the content of /mark
  std::map<std::string, std::string> files;   // SHA-256 to its UUID
  std::vector<std::string> operations;
};

class Clients {
 public:
  Clients(BackendProcess& backend, Told& told, int round, const std::vector<std::string>& imports)
      : backend_(backend), told_(told), round_(round), imports_(imports) {
    threads_.emplace_back([this] { MakeImages("a"); });
    threads_.emplace_back([this] { MakeImages("b"); });
    threads_.emplace_back([this] { RunAndCancel(); });
    threads_.emplace_back([this] { Upload(); });
    threads_.emplace_back([this] { Import(); });
    threads_.emplace_back([this] { Linger(); });
  }
  ~Clients() {
    ends_ = true;
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  // Empty: the backend is gone.
  std::string Submit(const std::string& target, const json& body) {
    const Answer answer = backend_.Request("POST", target, body);
    if (answer.status != 201) return "";
    const std::string id = answer.json().value("uuid", "");
    const std::lock_guard<std::mutex> lock(told_.mutex);
    told_.operations.push_back(id);
    return id;
  }
  // Null where it did not end.
  json Await(const std::string& id) {
    backend_.Request("GET", absl::StrCat("/v1/operations/", id, "/events?follow=1"));
    const json operation = backend_.Request("GET", "/v1/operations/" + id).json();
    const bool succeeded = operation.is_object() && operation.value("status", "") == "SUCCESS";
    return succeeded ? operation : json(nullptr);
  }

  // A chain of images; the newest has a tag.
  void MakeImages(const std::string& name) {
    for (int i = 0; !ends_; ++i) {
      const std::string mark = absl::StrCat(name, " ", round_, " ", i);
      const std::string tag = absl::StrCat("chain-", name);
      const bool begins = backend_.Request("GET", "/v1/inspect/?tag=" + tag).status == 404;
      const std::string id = Submit(
          "/v1/instances",
          {{"image", begins ? "tag:busybox:latest" : "tag:" + tag},
           {"shell", true},
           {"command", absl::StrCat("echo '", mark, "' > /mark; head -c 300000 /dev/zero > /data",
                                    i % 5, "; mkdir -p /d/", i, "; rm -f /data", (i + 2) % 5)}});
      if (id.empty()) return;
      const json operation = Await(id);
      if (operation.is_null()) continue;
      const std::string image = operation["result"].value("image", "");
      {
        const std::lock_guard<std::mutex> lock(told_.mutex);
        told_.images[image] = mark + "\n";
      }
      backend_.Request("PATCH", "/v1/images/" + image + "/tag", {{"tag", tag}});
    }
  }

  void RunAndCancel() {
    while (!ends_) {
      const std::string id = Submit("/v1/instances", {{"image", "tag:busybox:latest"},
                                                      {"shell", true},
                                                      {"disposable", true},
                                                      {"command", "sleep 30"}});
      if (id.empty()) return;
      backend_.Request("DELETE", "/v1/operations/" + id);
    }
  }

  void Upload() {
    std::mt19937 random(static_cast<unsigned>(round_));
    for (int i = 0; !ends_; ++i) {
      // Large ones go through a file of their own.
      std::string bytes(i % 2 == 0 ? 700'000 : 1000, 'u');
      for (int at = 0; at < 16; ++at) bytes[static_cast<size_t>(at)] = static_cast<char>(random());
      const Answer answer = backend_.Request("POST", "/v1/files", json(bytes));
      if (answer.status != 201) return;
      const std::lock_guard<std::mutex> lock(told_.mutex);
      told_.files[answer.json().value("sha256", "")] = answer.json().value("uuid", "");
    }
  }

  void Import() {
    const std::string id =
        Submit("/v1/images/import",
               {{"registry", {{"url", "docker://" + imports_[static_cast<size_t>(round_)]}}},
                {"tag", absl::StrCat("import-", round_)}});
    if (id.empty()) return;
    const json operation = Await(id);
    if (operation.is_null()) return;
    const std::lock_guard<std::mutex> lock(told_.mutex);
    told_.images[operation["result"].value("image", "")] = "";
  }

  // One that still runs when the backend is killed.
  void Linger() {
    Submit("/v1/instances", {{"image", "tag:busybox:latest"},
                             {"command", "sleep"},
                             {"args", {kSleep}},
                             {"timeout", 600}});
  }

  BackendProcess& backend_;
  Told& told_;
  const int round_;
  const std::vector<std::string>& imports_;
  std::atomic<bool> ends_ = false;
  std::vector<std::thread> threads_;
};

void ExpectNothingIsLost(BackendProcess& backend, const Told& told) {
  for (const std::string& id : told.operations) {
    const json operation = backend.Request("GET", "/v1/operations/" + id).json();
    const std::string status = operation.value("status", "");
    if (status == "FAILED") {
      EXPECT_EQ(operation.value("error", ""), "the backend stopped") << operation;
    } else {
      EXPECT_TRUE(status == "SUCCESS" || status == "CANCELLED") << operation;
    }
    const Answer events = backend.Request("GET", "/v1/operations/" + id + "/events?follow=1");
    EXPECT_THAT(events.body, testing::HasSubstr("event: completion")) << id;
  }
  for (const auto& [image, mark] : told.images) {
    if (mark.empty()) {
      EXPECT_EQ(backend.Request("GET", "/v1/inspect/" + image + "/list?path=/top").status, 200);
      continue;
    }
    const Answer content = backend.Request("GET", "/v1/inspect/" + image + "/download?path=/mark");
    EXPECT_EQ(content.body, mark) << image;
  }
  for (const auto& [sha256, uuid] : told.files) {
    EXPECT_EQ(backend.Request("GET", "/v1/files/" + sha256).json().value("uuid", ""), uuid);
  }
}

std::vector<std::string> Leftovers(const std::string& state) {
  std::vector<std::string> found;
  const std::string directory = state + "/local-backend";
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (absl::StartsWith(entry.path().filename().string(), "trash")) found.push_back(entry.path());
  }
  for (const char* name : {"/runs", "/files/incoming", "/empty", "/mountpoint"}) {
    if (!fs::exists(directory + name)) continue;
    for (const auto& entry : fs::directory_iterator(directory + name)) {
      found.push_back(entry.path());
    }
  }
  return found;
}

int Check(const std::string& state) {
  const std::string command =
      absl::StrCat("local-backend/contree-local-backend --check --state-dir ", state, " >", state,
                   ".check 2>&1");
  const int status = std::system(command.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(CrashTest, NothingIsHalfThereOrLeftBehindWhenTheBackendIsKilled) {
  const TempDirectory directory;
  const std::string state = directory.File("state");
  TestRegistry registry;
  std::vector<std::string> imports;
  for (int round = 0; round < kRounds; ++round) {
    imports.push_back(
        registry.Push(absl::StrCat("image", round, ":latest"), {ImageForImport(round)}));
  }
  Told all;
  std::mt19937 random(20261125);
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE(absl::StrCat("round ", round));
    Told told;
    pid_t pid = 0;
    {
      BackendProcess backend(state, {});
      ASSERT_EQ(backend.readiness(), "ready\n");
      pid = backend.pid();
      {
        const Clients clients(backend, told, round, imports);
        // At moments of its start at first, then of its work, when some of it has been
        // acknowledged.
        if (round >= kEarlyRounds) {
          EXPECT_TRUE(Eventually([&] {
            const std::lock_guard<std::mutex> lock(told.mutex);
            return !told.images.empty() && !told.files.empty();
          }));
        }
        absl::SleepFor(absl::Milliseconds(round < kEarlyRounds ? round * 3 : random() % 60));
        backend.Kill(SIGKILL);
        EXPECT_EQ(backend.Wait(), -SIGKILL);
      }
    }
    ASSERT_TRUE(Eventually([] { return ProcessesWith(kSleep) == 0; }));
    EXPECT_THAT(ReadAll("/proc/self/mountinfo"), testing::Not(testing::HasSubstr(state)));

    BackendProcess again(state, {});
    ASSERT_EQ(again.readiness(), "ready\n");
    ExpectNothingIsLost(again, told);
    EXPECT_TRUE(Eventually([&] { return Leftovers(state).empty(); }));
    EXPECT_THAT(Leftovers(state), IsEmpty());
    EXPECT_THAT(GroupsOf(pid), IsEmpty());
    again.Kill(SIGTERM);
    EXPECT_EQ(again.Wait(), 0);
    ASSERT_EQ(Check(state), 0) << ReadAll(state + ".check");
    all.images.merge(told.images);
    all.files.merge(told.files);
  }
  // Nor did a later crash harm what was there before.
  BackendProcess backend(state, {});
  ExpectNothingIsLost(backend, all);
  EXPECT_GE(all.images.size(), kRounds - kEarlyRounds);
  EXPECT_GE(all.files.size(), kRounds - kEarlyRounds);
}

TEST(CheckTest, SaysWhatIsWrong) {
  const TempDirectory directory;
  const std::string state = directory.File("state");
  {
    BackendProcess backend(state, {});
    const json run = backend.Run({{"command", "echo 12345 > /file"}, {"disposable", false}});
    EXPECT_EQ(run["status"], "SUCCESS") << run;
    EXPECT_EQ(Check(state), 3) << "the backend runs";
  }
  EXPECT_EQ(Check(state), 0) << ReadAll(state + ".check");
  EXPECT_EQ(ReadAll(state + ".check"), "nothing is wrong\n");
  // As a disk that lost something.
  fs::remove(state + "/local-backend/layers/2/file");
  EXPECT_EQ(Check(state), 1);
  EXPECT_THAT(ReadAll(state + ".check"),
              testing::HasSubstr("layers/2 has 0 entries with 0 bytes; it was made with 1 and 6"));
  fs::remove_all(state + "/local-backend/layers/2");
  EXPECT_EQ(Check(state), 1);
  EXPECT_THAT(ReadAll(state + ".check"), testing::HasSubstr("layers/2"));
  EXPECT_EQ(Check(directory.File("nowhere")), 1);
}

}  // namespace
}  // namespace contree
