#include "local-backend/sandbox/user_namespace.h"

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>

#include "common/files/unique_fd.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Runs `body` in a child process, which may enter namespaces, and returns what it says.
std::string InChild(const std::function<std::string()>& body) {
  int ends[2];
  if (pipe(ends) != 0) return "pipe failed";
  const pid_t child = fork();
  if (child == 0) {
    const std::string text = body();
    _exit(write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : 1);
  }
  close(ends[1]);
  const UniqueFd reader(ends[0]);
  std::string text;
  char buffer[4096];
  ssize_t got;
  while ((got = read(reader.get(), buffer, sizeof buffer)) > 0) text.append(buffer, got);
  waitpid(child, nullptr, 0);
  return text;
}

TEST(FindSubordinateIdsTest, TakesTheFirstRangeThatIsLargeEnough) {
  constexpr char kFile[] =
      "alice:100000:1000\nbob:200000:65536\n1000:300000:65536\nbroken\nalice:400000:65536\n";
  EXPECT_EQ(FindSubordinateIds(kFile, "bob", 1001, 65536), 200000);
  EXPECT_EQ(FindSubordinateIds(kFile, "bob", 1001, 65537), std::nullopt);
  EXPECT_EQ(FindSubordinateIds(kFile, "alice", 5, 65535), 400000);
  EXPECT_EQ(FindSubordinateIds(kFile, "carol", 1000, 65535), 300000);
  EXPECT_EQ(FindSubordinateIds("", "root", 0, 1), std::nullopt);
}

TEST(ParseIdMapTest, ReadsEachRange) {
  EXPECT_THAT(ParseIdMap("         0       1000          1\n         1     100000      65535\n"),
              ElementsAre(IdRange{0, 1000, 1}, IdRange{1, 100000, 65535}));
}

TEST(EnterPrivateNamespacesTest, GivesIdsAndShowsTheDirectory) {
  const TempDirectory directory;
  EXPECT_EQ(InChild([&]() -> std::string {
              const auto inside = EnterPrivateNamespaces(directory.path());
              if (!inside.ok()) return std::string(inside.status().message());
              if (geteuid() != 0 || getegid() != 0) return "not uid 0";
              std::ofstream(*inside + "/file") << "x";
              if (chown((*inside + "/file").c_str(), 65535, 65535) != 0)
                return "chown to the highest id failed";
              if (access("/proc/self/fd", R_OK) != 0) return "no /proc/self";
              return "fine";
            }),
            "fine");
  EXPECT_EQ(access(directory.File("file").c_str(), F_OK), 0);
}

TEST(EnterPrivateNamespacesTest, WorksAgainInsideItself) {
  const TempDirectory directory;
  EXPECT_EQ(InChild([&]() -> std::string {
              const auto outer = EnterPrivateNamespaces(directory.path());
              if (!outer.ok()) return std::string(outer.status().message());
              const auto inner = EnterPrivateNamespaces(*outer);
              return inner.ok() ? "fine" : std::string(inner.status().message());
            }),
            "fine");
}

TEST(EnterPrivateNamespacesTest, SaysWhatToSetWhereUserNamespacesAreOff) {
  const TempDirectory directory;
  EXPECT_THAT(InChild([&]() -> std::string {
                const auto outer = EnterPrivateNamespaces(directory.path());
                if (!outer.ok()) return std::string(outer.status().message());
                std::ofstream("/proc/sys/user/max_user_namespaces") << "0\n";
                const auto inner = EnterPrivateNamespaces(*outer);
                return inner.ok() ? "entered" : inner.status().ToString();
              }),
              AllOf(HasSubstr("FAILED_PRECONDITION"), HasSubstr("cannot be isolated"),
                    HasSubstr("user.max_user_namespaces")));
}

TEST(EnterPrivateNamespacesTest, RefusesAHandfulOfIds) {
  const TempDirectory directory;
  EXPECT_THAT(InChild([&]() -> std::string {
                if (unshare(CLONE_NEWUSER) != 0) return "no user namespace";
                std::ofstream("/proc/self/uid_map") << "0 0 1\n";
                std::ofstream("/proc/self/setgroups") << "deny\n";
                std::ofstream("/proc/self/gid_map") << "0 0 1\n";
                const auto inner = EnterPrivateNamespaces(directory.path());
                return inner.ok() ? "entered" : inner.status().ToString();
              }),
              AllOf(HasSubstr("FAILED_PRECONDITION"), HasSubstr("has fewer than 65536 uids")));
}

}  // namespace
}  // namespace contree
