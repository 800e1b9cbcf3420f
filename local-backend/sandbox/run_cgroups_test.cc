// How hierarchies are found; that they hold runs is in sandbox_test.cc and escape_test.cc.

#include "local-backend/sandbox/run_cgroups.h"

#include <unistd.h>

#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(ParseCgroupHierarchiesTest, UnifiedAlone) {
  const auto found = ParseCgroupHierarchies(
      "24 23 0:22 / /proc rw,relatime - proc proc rw\n"
      "30 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 "
      "rw,nsdelegate\n",
      "0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-1.scope\n");
  ASSERT_EQ(found.size(), 1);
  EXPECT_TRUE(found[0].unified);
  EXPECT_EQ(found[0].mount_point, "/sys/fs/cgroup");
  EXPECT_EQ(found[0].own,
            "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/run-1.scope");
}

TEST(ParseCgroupHierarchiesTest, HybridHasBothVersions) {
  const auto found = ParseCgroupHierarchies(
      "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
      "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
      "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
      "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
      "9:name=systemd:/init\n4:memory:/jobs/a\n1:cpu,cpuacct:/\n0::/\n");
  ASSERT_EQ(found.size(), 4);
  EXPECT_THAT(found[0].controllers, ElementsAre("cpu", "cpuacct"));
  EXPECT_EQ(found[0].own, "/sys/fs/cgroup/cpu,cpuacct");
  EXPECT_EQ(found[1].own, "/sys/fs/cgroup/memory/jobs/a");
  EXPECT_THAT(found[1].controllers, ElementsAre("memory"));
  EXPECT_TRUE(found[3].unified);
  EXPECT_EQ(found[3].own, "/sys/fs/cgroup/unified");
}

TEST(ParseCgroupHierarchiesTest, ContainerSeesItsPartOnly) {
  const auto found = ParseCgroupHierarchies(
      "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
      "36 31 0:33 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
      "4:memory:/docker/abc\n0::/../elsewhere\n");
  ASSERT_EQ(found.size(), 2);
  EXPECT_EQ(found[0].own, "/sys/fs/cgroup/memory");
  EXPECT_EQ(found[1].own, "/sys/fs/cgroup/unified");
}

TEST(ParseCgroupHierarchiesTest, NoneWhereNoneIsMounted) {
  EXPECT_THAT(ParseCgroupHierarchies("24 23 0:22 / /proc rw - proc proc rw\n", "0::/\n"),
              IsEmpty());
}

}  // namespace
}  // namespace contree
