// A rolling restart under load: five programs are ended and started anew, one after the other,
// while calls of all kinds arrive at a steady rate at two gateways. Each call is answered, and each
// operation that was started is known afterwards, started once, and ended as it should have.
//
// The rate is that of an open loop: calls are due when they are due, however long others take. The
// test says which rate it reached; that is not what it demands, for it also runs where builds are
// slow and processors few. The local backend stays up: what runs in it ends with it, by design.

#include <signal.h>
#include <sys/stat.h>

#include <atomic>
#include <deque>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "common/http/http_client.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "common/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/harness/mcp_http_client.h"
#include "tests/harness/server_process.h"

namespace contree::testing_harness {
namespace {

using nlohmann::json;

constexpr int kCallsPerSecond = 200;
constexpr int kCallers = 48;
// Between two restarts so many calls are answered.
constexpr int kCallsBetween = 200;
constexpr absl::Duration kCheckHealthEvery = absl::Milliseconds(100);
constexpr char kBusybox[] = "tag:busybox:latest";

// A program that is started again as it was.
struct Restartable {
  std::string name;
  std::vector<std::string> command;
  std::map<std::string, std::string> environment;
  std::string serves;  // the field of its log that says where
  // A tool that does not work without it; empty: there is another such program.
  std::string needed_by = "";
  std::unique_ptr<ServerProcess> process = nullptr;

  // Where it serves.
  std::string Start() {
    auto started = ServerProcess::Start(command, environment);
    EXPECT_OK(started);
    process = *std::move(started);
    const auto address = process->WaitForLogField(serves);
    EXPECT_OK(address) << name;
    return address.value_or("");
  }
  void End() {
    process->Signal(SIGTERM);
    const absl::StatusOr<int> exit_code = process->Wait(absl::Seconds(60));
    EXPECT_OK(exit_code) << name;
    EXPECT_EQ(exit_code.value_or(-1), 0) << name << ": " << process->Output();
  }
};

// Calls of tools, at any of several gateways, as a balancer hands them out: by turns to those that
// say that they are healthy, and where one does not listen, to the next. What has been sent is
// never sent again.
class Clients {
 public:
  void Add(const std::string& url) {
    clients_.push_back(std::make_unique<McpHttpClient>(url));
    healthy_.emplace_back(true);
  }

  // Looks at their health until `stop`.
  void CheckHealth(const std::stop_token& stop) {
    do {
      for (size_t i = 0; i < clients_.size(); ++i) {
        const absl::StatusOr<HttpResponse> response = clients_[i]->Exchange({.target = "/healthz"});
        healthy_[i] = response.ok() && response->status == 200;
      }
    } while (RealClock().Sleep(kCheckHealthEvery, stop));
  }

  absl::StatusOr<json> Call(int number, const std::string& tool, const json& arguments) {
    const json message = {{"jsonrpc", "2.0"},
                          {"id", number},
                          {"method", "tools/call"},
                          {"params", {{"name", tool}, {"arguments", arguments}}}};
    absl::StatusOr<HttpResponse> response;
    const size_t count = clients_.size();
    auto turn = static_cast<size_t>(number) % count;
    for (size_t i = 0; i < count && !healthy_[turn]; ++i) turn = (turn + 1) % count;
    for (size_t i = 0; i < count; ++i) {
      response = clients_[(turn + i) % count]->Post(message.dump());
      if (!NothingWasSent(response.status())) break;
    }
    if (!response.ok()) return response.status();
    const json answer = json::parse(response->body, nullptr, /*allow_exceptions=*/false);
    if (!answer.is_object() || !answer.contains("result") ||
        answer["result"].value("isError", false)) {
      return absl::UnknownError(absl::StrCat("HTTP ", response->status, ": ", response->body));
    }
    return answer["result"]["structuredContent"];
  }

 private:
  std::vector<std::unique_ptr<McpHttpClient>> clients_;
  std::deque<std::atomic<bool>> healthy_;
};

class RollingRestartTest : public testing::Test {
 protected:
  void StartAll() {
    backend_ = {.name = "local-backend",
                .command = {Program("local-backend/contree-local-backend"), "--state-dir",
                            temp_.File("backend")},
                .environment = {},
                .serves = "http"};
    const std::string api = backend_.Start();
    const std::string service = "unix:" + temp_.File("service.sock");
    const std::string sync = "unix:" + temp_.File("sync.sock");
    const std::string auth = "unix:" + temp_.File("auth.sock");
    programs_.push_back({.name = "contree-service",
                         .command = {Program("contree-service/contree-service"), "--state-dir",
                                     temp_.File("service"), "--listen", service, "--url", api},
                         .environment = {{"CONTREE_MCP_TOKEN", "any"}},
                         .serves = "grpc",
                         .needed_by = "run"});
    programs_.push_back(
        {.name = "sync-service",
         .command = {Program("sync-service/sync-service"), "--state-dir", temp_.File("sync"),
                     "--listen", sync, "--contree-service", service},
         .environment = {},
         .serves = "grpc",
         .needed_by = "rsync"});
    programs_.push_back({.name = "auth-service",
                         .command = {Program("auth-service/auth-service"), "--state-dir",
                                     temp_.File("auth"), "--listen", auth},
                         .environment = {},
                         .serves = "grpc",
                         .needed_by = "registry_token_obtain"});
    for (Restartable& program : programs_) program.Start();
    for (const char* name : {"gateway A", "gateway B"}) {
      programs_.push_back({.name = name,
                           .command = {Program("gateway/contree-gateway"), "--contree-service",
                                       service, "--sync-service", sync, "--auth-service", auth,
                                       "--workspace-root", temp_.File("tree"), "--http-port", "0"},
                           .environment = {},
                           .serves = "mcp"});
      const std::string url = programs_.back().Start();
      clients_.Add(url);
      // Started again, it is where its clients look for it.
      const std::vector<std::string> parts =
          absl::StrSplit(url, absl::ByAnyChar(":/"), absl::SkipEmpty());
      programs_.back().command.back() = parts.at(2);  // http 127.0.0.1 PORT mcp
    }
  }

  // One call of the mix; what it gave must be right.
  absl::Status CallNumber(int number) {
    const auto call = [&](const std::string& tool, const json& arguments) {
      CountOpen(tool, 1);
      absl::StatusOr<json> output = clients_.Call(number, tool, arguments);
      CountOpen(tool, -1);
      return output;
    };
    const std::string word = absl::StrCat("word", number);
    switch (number % 40) {
      case 0: {
        const auto run = call("run", {{"command", "echo " + word}, {"image", kBusybox}});
        if (run.ok()) ++runs_;
        return Expect(run, "stdout", word + "\n");
      }
      case 10: {
        const auto run =
            call("run", {{"command", "echo " + word}, {"image", kBusybox}, {"wait", false}});
        if (!run.ok()) return run.status();
        ++runs_;
        const absl::MutexLock lock(&mutex_);
        started_.emplace_back(run->at("operation_id"), word + "\n");
        return absl::OkStatus();
      }
      case 20: {
        std::pair<std::string, std::string> one;
        {
          const absl::MutexLock lock(&mutex_);
          if (started_.empty()) return absl::OkStatus();
          one = started_.front();
          started_.pop_front();
        }
        return ExpectEnded(number, one);
      }
      case 5:
        return call("upload", {{"content", word}}).status();
      case 15:
        return Expect(call("rsync", {{"source", temp_.File("tree")}, {"destination", "/app"}}),
                      "files", 3);
      case 25:
        return Expect(call("registry_token_obtain", {{"registry_url", "ghcr.io"}}), "registry",
                      "ghcr.io");
      case 30:
        return call("list_operations", {{"limit", 5}}).status();
      default:
        break;
    }
    switch (number % 4) {
      case 0:
        return call("get_guide", {{"section", "quickstart"}}).status();
      case 1:
        return call("list_images", json::object()).status();
      case 2:
        return Expect(call("get_operation", {{"operation_id", first_}}), "stdout", "first\n");
      default:
        return call("list_files", {{"path", "/bin"}, {"image", kBusybox}}).status();
    }
  }

  static absl::Status Expect(const absl::StatusOr<json>& output, const char* member,
                             const json& value) {
    if (!output.ok()) return output.status();
    if (output->contains(member) && output->at(member) == value) return absl::OkStatus();
    return absl::UnknownError(absl::StrCat(member, " is not ", value.dump(), ": ", output->dump()));
  }

  absl::Status ExpectEnded(int number, const std::pair<std::string, std::string>& operation) {
    const auto waited =
        clients_.Call(number, "wait_operations",
                      {{"operation_ids", json::array({operation.first})}, {"timeout", 60}});
    if (!waited.ok()) return waited.status();
    if (!waited->at("results").contains(operation.first))
      return absl::UnknownError(absl::StrCat("it has not ended: ", waited->dump()));
    return Expect(waited->at("results").at(operation.first), "stdout", operation.second);
  }

  // Makes calls until `ends_`; the number of each says when it is due.
  void MakeCalls(absl::Time begin) {
    RealClock clock;
    while (!ends_) {
      const int number = next_++;
      const absl::Time due = begin + absl::Seconds(1) * number / kCallsPerSecond;
      if (const absl::Duration early = due - clock.Now(); early > absl::ZeroDuration())
        clock.Sleep(early, {});
      const absl::Status status = CallNumber(number);
      const absl::MutexLock lock(&mutex_);
      ++answered_;
      if (!status.ok()) {
        lost_.push_back(absl::StrCat("call ", number, ", during ", phase_, ": ",
                                     std::string(status.message().substr(0, 1000))));
      }
    }
  }

  void CountOpen(const std::string& tool, int change) {
    const absl::MutexLock lock(&mutex_);
    open_[tool] += change;
  }

  // Until such a call waits for its answer.
  void AwaitCallOf(const std::string& tool) {
    const absl::MutexLock lock(&mutex_);
    const auto has_come = [this, &tool]()
                              ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return open_[tool] > 0; };
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&has_come), absl::Seconds(60))) << tool;
  }

  void AwaitAnswers(int more) {
    const absl::MutexLock lock(&mutex_);
    const int before = answered_;
    const auto enough = [this, before, more]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
      return answered_ >= before + more;
    };
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&enough), absl::Seconds(120)))
        << "only " << answered_ - before << " calls were answered";
  }

  TempDirectory temp_;
  Restartable backend_;
  std::deque<Restartable> programs_;
  Clients clients_;
  std::string first_;  // an operation that has ended
  std::atomic<int> next_ = 0;
  std::atomic<int> runs_ = 0;
  std::atomic<bool> ends_ = false;
  absl::Mutex mutex_;
  int answered_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, int> open_ ABSL_GUARDED_BY(mutex_);  // calls under way, by tool
  std::string phase_ ABSL_GUARDED_BY(mutex_) = "the beginning";
  std::vector<std::string> lost_ ABSL_GUARDED_BY(mutex_);
  // Operations that nobody has waited for yet, and what each prints.
  std::deque<std::pair<std::string, std::string>> started_ ABSL_GUARDED_BY(mutex_);
};

TEST_F(RollingRestartTest, LosesNoCallAndNoOperation) {
  ASSERT_EQ(mkdir(temp_.File("tree").c_str(), 0700), 0);
  for (const char* name : {"tree/one", "tree/two", "tree/three"})
    std::ofstream(temp_.File(name)) << name;
  StartAll();
  ASSERT_OK_AND_ASSIGN(const json first,
                       clients_.Call(0, "run", {{"command", "echo first"}, {"image", kBusybox}}));
  first_ = first.at("operation_id");
  ++runs_;

  const std::jthread balancer([this](const std::stop_token& stop) { clients_.CheckHealth(stop); });
  const absl::Time begin = absl::Now();
  std::vector<std::thread> callers;
  callers.reserve(kCallers);
  for (int i = 0; i < kCallers; ++i) callers.emplace_back([this, begin] { MakeCalls(begin); });
  AwaitAnswers(kCallsBetween);
  for (Restartable& program : programs_) {
    {
      const absl::MutexLock lock(&mutex_);
      phase_ = "the restart of " + program.name;
    }
    const absl::Time end = absl::Now();
    program.End();
    if (!program.needed_by.empty()) AwaitCallOf(program.needed_by);
    const absl::Time start = absl::Now();
    program.Start();
    std::cout << program.name << ": ended within " << start - end << ", served again after another "
              << absl::Now() - start << std::endl;
    AwaitAnswers(kCallsBetween);
  }
  ends_ = true;
  for (std::thread& caller : callers) caller.join();
  const double seconds = absl::ToDoubleSeconds(absl::Now() - begin);

  absl::MutexLock lock(&mutex_);
  std::cout << answered_ << " calls in " << seconds << " s: " << answered_ / seconds
            << " a second, with " << runs_ << " runs among them" << std::endl;
  RecordProperty("calls_per_second", static_cast<int>(answered_ / seconds));
  EXPECT_EQ(lost_.size(), 0u) << absl::StrJoin(lost_, "\n");
  for (const auto& operation : started_) EXPECT_OK(ExpectEnded(0, operation));
  // Neither lost nor doubled.
  ASSERT_OK_AND_ASSIGN(const json listed, clients_.Call(0, "list_operations", {{"limit", 1000}}));
  EXPECT_EQ(listed.at("operations").size(), static_cast<size_t>(runs_));
}

}  // namespace
}  // namespace contree::testing_harness
