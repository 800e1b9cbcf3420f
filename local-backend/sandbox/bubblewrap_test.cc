#include "local-backend/sandbox/bubblewrap.h"

#include <algorithm>

#include "absl/strings/str_join.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

using testing::Contains;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

TEST(BubblewrapCommandTest, SharesNoNamespaceAndDropsCapabilities) {
  const std::vector<std::string> command = BubblewrapCommand({.program = "/usr/bin/bwrap",
                                                              .root = "/mnt/root",
                                                              .hostname = "box",
                                                              .shared_memory_bytes = 1000,
                                                              .masked_files = {"/proc/keys"},
                                                              .masked_directories = {"/proc/acpi"},
                                                              .seccomp_fd = 7,
                                                              .init_fd = 8,
                                                              .control_fd = 9});
  for (const char* option : {"--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent",
                             "--new-session", "--as-pid-1", "--clearenv"}) {
    EXPECT_THAT(command, Contains(option));
  }
  const std::string line = absl::StrJoin(command, " ");
  EXPECT_THAT(line, HasSubstr("--cap-drop ALL --cap-add"));
  EXPECT_THAT(line, Not(HasSubstr("CAP_SYS_ADMIN")));
  EXPECT_THAT(line, HasSubstr("--seccomp 7 --bind /mnt/root / --proc /proc --ro-bind /dev/null "
                              "/proc/keys --tmpfs /proc/acpi --remount-ro /proc/acpi --dev /dev "
                              "--perms 1777 --size 1000 --tmpfs /dev/shm --remount-ro /dev "));
  EXPECT_THAT(line, HasSubstr("--hostname box"));
  EXPECT_THAT(line, EndsWith("-- /proc/self/fd/8 9"));
}

TEST(FindBubblewrapTest, TakesPathsAndNames) {
  EXPECT_THAT(FindBubblewrap("bwrap"), IsOk());
  ASSERT_OK_AND_ASSIGN(const std::string path, FindBubblewrap("/bin/sh"));
  EXPECT_EQ(path, "/bin/sh");
  for (const char* missing : {"no-such-bwrap", "/no/such/bwrap"}) {
    EXPECT_THAT(FindBubblewrap(missing), StatusIs(absl::StatusCode::kFailedPrecondition,
                                                  HasSubstr("install the package bubblewrap")));
  }
}

}  // namespace
}  // namespace contree
