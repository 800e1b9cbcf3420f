// How the program starts, refuses to start, and ends.

#include "local-backend/local_backend.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/files/unique_fd.h"
#include "common/testing/temp_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "local-backend/sandbox/user_namespace.h"
#include "local-backend/testing/backend_process.h"

namespace contree {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

// A client of the control socket; its connection is its lifeline.
class Lifeline {
 public:
  explicit Lifeline(const std::string& state_directory)
      : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    const std::string path = state_directory + "/local-backend/control.sock";
    memcpy(address.sun_path, path.c_str(), path.size());
    if (connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return;
    char c;
    while (recv(fd_.get(), &c, 1, 0) == 1 && c != '\n') line_.push_back(c);
  }
  json greeting() const { return json::parse(line_, nullptr, false); }
  void Close() { fd_.Reset(); }

 private:
  UniqueFd fd_;
  std::string line_;
};

TEST(LocalBackendTest, SecondOneOnTheSameDirectoryDoesNotStart) {
  const TempDirectory directory;
  BackendProcess first(directory.File("state"), {});
  BackendProcess second(directory.File("state"), {});
  EXPECT_THAT(second.readiness(), AllOf(StartsWith("error: "), HasSubstr("another backend")));
  EXPECT_EQ(second.Wait(), kLocalBackendIsRunning);
  EXPECT_EQ(first.Request("GET", "/v1/whoami").status, 200);
}

TEST(LocalBackendTest, DrainsOnSigterm) {
  const TempDirectory directory;
  BackendProcess backend(directory.File("state"), {});
  backend.Kill(SIGTERM);
  EXPECT_EQ(backend.Wait(), 0);
}

TEST(LocalBackendTest, RefusesWithoutBubblewrap) {
  const TempDirectory directory;
  BackendProcess backend(directory.File("state"), {"--bubblewrap", "/nowhere/bwrap"});
  EXPECT_THAT(backend.readiness(), AllOf(StartsWith("error: commands cannot be isolated"),
                                         HasSubstr("install the package bubblewrap")));
  EXPECT_EQ(backend.Wait(), 1);
}

TEST(LocalBackendTest, RefusesABubblewrapThatDoesNotIsolate) {
  const TempDirectory directory;
  // It would run what it is told without any namespaces.
  const std::string fake = directory.File("bwrap");
  std::ofstream(fake) << "#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done; shift; exec \"$@\"\n";
  chmod(fake.c_str(), 0755);
  chmod(directory.path().c_str(), 0755);
  BackendProcess backend(directory.File("state"), {"--bubblewrap", fake});
  EXPECT_THAT(backend.readiness(), StartsWith("error: commands cannot be isolated"));
  EXPECT_EQ(backend.Wait(), 1);
}

TEST(LocalBackendTest, RefusesWithoutUserNamespaces) {
  const TempDirectory directory;
  // Reachable inside too.
  const std::string outer = directory.File("outer");
  mkdir(outer.c_str(), 0755);
  chmod(directory.path().c_str(), 0755);
  BackendProcess backend(directory.File("outer/state"), {}, [&] {
    if (!EnterPrivateNamespaces(outer).ok()) _exit(98);
    std::ofstream("/proc/sys/user/max_user_namespaces") << "0\n";
  });
  EXPECT_THAT(backend.readiness(), AllOf(StartsWith("error: commands cannot be isolated"),
                                         HasSubstr("user.max_user_namespaces")));
  EXPECT_EQ(backend.Wait(), 1);
}

TEST(LocalBackendTest, RefusesToListenOutsideWithoutAToken) {
  const TempDirectory directory;
  BackendProcess backend(directory.File("state"), {"--listen", "0.0.0.0:0"});
  EXPECT_THAT(backend.readiness(), HasSubstr("--token-file"));
  EXPECT_EQ(backend.Wait(), 1);
}

TEST(LocalBackendTest, TokenFileIsRequiredOfRequests) {
  const TempDirectory directory;
  std::ofstream(directory.File("token")) << "s3cret\nsecond line\n";
  BackendProcess backend(directory.File("state"), {"--token-file", directory.File("token")});
  EXPECT_EQ(backend.Request("GET", "/v1/whoami", nullptr, "s3cret").status, 200);
  EXPECT_EQ(backend.Request("GET", "/v1/whoami", nullptr, "s3crex").status, 401);
  EXPECT_EQ(backend.Request("GET", "/v1/whoami", nullptr, "s3cret2").status, 401);
}

TEST(LocalBackendTest, ServesBelowABasePath) {
  const TempDirectory directory;
  BackendProcess backend(directory.File("state"), {"--base-path", "/sandboxes"});
  EXPECT_EQ(backend.Request("GET", "/sandboxes/v1/whoami").status, 200);
  const Answer without = backend.Request("GET", "/v1/whoami");
  EXPECT_EQ(without.status, 404);
  EXPECT_THAT(without.body, HasSubstr("begins with /sandboxes/v1/"));
  const Answer run =
      backend.Request("POST", "/sandboxes/v1/instances",
                      {{"command", "true"}, {"image", "tag:busybox:latest"}, {"disposable", true}});
  EXPECT_EQ(run.location, "/sandboxes/v1/operations/" + run.json()["uuid"].get<std::string>());
  EXPECT_EQ(backend.Request("GET", run.location + "/events?follow=1").status, 200);
  EXPECT_EQ(backend.Request("GET", run.location).json()["status"], "SUCCESS");
}

TEST(LocalBackendTest, RefusesABasePathThatIsNone) {
  const TempDirectory directory;
  BackendProcess backend(directory.File("state"), {"--base-path", "sandboxes/"});
  EXPECT_THAT(backend.readiness(), HasSubstr("--base-path"));
  EXPECT_EQ(backend.Wait(), 1);
}

TEST(LocalBackendTest, CompressesOnlyWhereItIsWorthIt) {
  for (const auto& [flag, encoding] : {std::pair{"auto", ""}, std::pair{"always", "gzip"}}) {
    const TempDirectory directory;
    BackendProcess backend(directory.File("state"), {"--compress", flag});
    // Of the length that is compressed at all.
    const Answer answer = backend.Request("GET", "/v1/" + std::string(2'000, 'x'), nullptr, "any",
                                          {{"Accept-Encoding", "gzip"}});
    const auto found = answer.headers.find("Content-Encoding");
    EXPECT_EQ(found == answer.headers.end() ? "" : found->second, encoding) << flag;
  }
}

TEST(LocalBackendTest, StateIsPrivate) {
  const TempDirectory directory;
  BackendProcess backend(directory.File("state"), {});
  struct stat info;
  ASSERT_EQ(stat(directory.File("state/local-backend").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700);
  ASSERT_EQ(stat(directory.File("state/local-backend/images.db").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600);
}

TEST(OnDemandBackendTest, GreetsEachClientAndEndsWithTheLast) {
  const TempDirectory directory;
  const std::string state = directory.File("state");
  BackendProcess backend(state, {"--on-demand", "--linger", "0"});
  ASSERT_EQ(backend.readiness(), "ready\n");
  struct stat info;
  ASSERT_EQ(stat((state + "/local-backend/control.sock").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600);
  Lifeline first(state);
  Lifeline second(state);
  const json greeting = first.greeting();
  EXPECT_EQ(greeting["url"], backend.url());
  EXPECT_EQ(greeting["pid"], backend.pid());
  EXPECT_EQ(second.greeting(), greeting);
  const std::string token = greeting["token"];
  EXPECT_GE(token.size(), 32);
  EXPECT_EQ(backend.Request("GET", "/v1/whoami", nullptr, token).status, 200);
  EXPECT_EQ(backend.Request("GET", "/v1/whoami", nullptr, "any").status, 401);
  first.Close();
  EXPECT_EQ(backend.Request("GET", "/v1/whoami", nullptr, token).status, 200);
  second.Close();
  EXPECT_EQ(backend.Wait(), 0);
  EXPECT_NE(stat((state + "/local-backend/control.sock").c_str(), &info), 0);
}

TEST(OnDemandBackendTest, FinishesWhatRunsBeforeItEnds) {
  const TempDirectory directory;
  const std::string state = directory.File("state");
  std::string operation;
  {
    BackendProcess backend(state, {"--on-demand", "--linger", "0"});
    Lifeline client(state);
    const Answer answer = backend.Request("POST", "/v1/instances",
                                          {{"command", "sleep 0.5; echo done > /f"},
                                           {"shell", true},
                                           {"image", "tag:busybox:latest"}},
                                          client.greeting()["token"]);
    ASSERT_EQ(answer.status, 201) << answer.body;
    operation = answer.json()["uuid"];
    client.Close();
    EXPECT_EQ(backend.Wait(), 0);
  }
  BackendProcess again(state, {});
  EXPECT_EQ(again.Request("GET", "/v1/operations/" + operation).json()["status"], "SUCCESS");
}

TEST(OnDemandBackendTest, ReplacesTheSocketOfOneThatDied) {
  const TempDirectory directory;
  const std::string state = directory.File("state");
  {
    BackendProcess died(state, {"--on-demand"});
    died.Kill(SIGKILL);
    died.Wait();
  }
  BackendProcess backend(state, {"--on-demand", "--linger", "0"});
  ASSERT_EQ(backend.readiness(), "ready\n");
  EXPECT_EQ(Lifeline(state).greeting()["url"], backend.url());
}

}  // namespace
}  // namespace contree
