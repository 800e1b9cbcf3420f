#include "local-backend/images/layer_diff.h"

#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "local-backend/testing/namespace_test_main.h"

namespace contree {
namespace {

// What a shell script does to a file tree, compared with what was there before.
LayerDiff After(const std::string& script) {
  const std::string layer = TestBusyboxLayer();
  const std::string lower = NewTestDirectory();
  std::ofstream(absl::StrCat(lower, "/file")) << "content";
  symlink("file", absl::StrCat(lower, "/link").c_str());
  mkdir(absl::StrCat(lower, "/directory").c_str(), 0755);
  std::ofstream(absl::StrCat(lower, "/directory/inner")) << "inner";
  const SandboxSpec spec = TestSpec({lower, layer}, {"/bin/sh", "-c", script});
  const CancelEvent never;
  const auto exit = TestLauncher().Run(spec, never, {});
  EXPECT_OK(exit);
  EXPECT_EQ(exit->exit_code, 0) << script;
  const auto diff = CompareWithLayers(spec.root.upper, spec.root.layers, spec.root.empty_directory);
  EXPECT_OK(diff);
  return diff.value_or(LayerDiff{});
}

TEST(LayerDiffTest, WhatEndsAsItBeganIsNoChange) {
  for (const char* script : {
           "true",
           "printf content > /file",
           "chmod 600 /file; chmod 644 /file",
           "touch /new; rm /new",
           "mkdir -p /a/b; rm -r /a",
           "chown 5 /file; chown 0 /file",
           "touch /file /directory /directory/inner",
           "mv /file /x; mv /x /file",
       }) {
    EXPECT_FALSE(After(script).changed) << script;
  }
}

TEST(LayerDiffTest, EachKindOfChangeIsSeen) {
  for (const char* script : {
           "printf Content > /file",
           "printf contents > /file",
           ": > /file",
           "chmod 600 /file",
           "chown 5 /file",
           "chgrp 5 /file",
           "rm /file",
           "rm -r /directory",
           "rm -r /directory; mkdir /directory",
           "rm /directory/inner",
           "chmod 700 /directory",
           "touch /new",
           "mkdir /new",
           "ln -sf other /link",
           "rm /link; printf content > /link",
           "mkfifo /pipe",
           "chmod 700 /",
           "chown 5 /",
           "mv /file /file2",
       }) {
    EXPECT_TRUE(After(script).changed) << script;
  }
}

TEST(LayerDiffTest, CountsTheBytesOfFiles) {
  EXPECT_EQ(After("true").bytes, 0);
  const int64_t bytes = After("head -c 1000000 /dev/urandom > /big; printf abc > /small").bytes;
  EXPECT_EQ(bytes, 1'000'003);
  // What is not there takes no space.
  EXPECT_LT(After("dd if=/dev/zero of=/sparse bs=1 count=1 seek=1000000000 2>/dev/null").bytes,
            1'000'000);
}

TEST(LayerDiffTest, MountPointsThatTheSandboxMadeAreNoChange) {
  // An image with neither /proc nor /dev.
  const std::string lower = NewTestDirectory();
  std::filesystem::copy(absl::StrCat(TestBusyboxLayer(), "/bin/busybox"),
                        absl::StrCat(lower, "/true"));
  const SandboxSpec spec = TestSpec({lower}, {"/true"});
  const CancelEvent never;
  ASSERT_OK(TestLauncher().Run(spec, never, {}));
  ASSERT_OK_AND_ASSIGN(const LayerDiff diff, CompareWithLayers(spec.root.upper, spec.root.layers,
                                                               spec.root.empty_directory));
  EXPECT_FALSE(diff.changed);
}

TEST(LayerDiffTest, ExtendedAttributeIsAChange) {
  const std::string lower = NewTestDirectory();
  std::ofstream(absl::StrCat(lower, "/file")) << "x";
  const std::string upper = NewTestDirectory();
  std::ofstream(absl::StrCat(upper, "/file")) << "x";
  const std::string empty = NewTestDirectory();
  ASSERT_OK_AND_ASSIGN(const LayerDiff same, CompareWithLayers(upper, {lower}, empty));
  EXPECT_FALSE(same.changed);
  ASSERT_EQ(setxattr(absl::StrCat(upper, "/file").c_str(), "user.note", "1", 1, 0), 0);
  ASSERT_OK_AND_ASSIGN(const LayerDiff other, CompareWithLayers(upper, {lower}, empty));
  EXPECT_TRUE(other.changed);
}

}  // namespace
}  // namespace contree
