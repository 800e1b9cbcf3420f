#include "local-backend/images/layer_merge.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "common/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "local-backend/sandbox/overlay.h"
#include "local-backend/testing/namespace_test_main.h"
#include "local-backend/testing/tree_description.h"

namespace contree {
namespace {

// The layers (topmost first) that the scripts leave when each runs on what the ones before made.
std::vector<std::string> Generations(const std::vector<std::string>& scripts) {
  std::vector<std::string> layers = {TestBusyboxLayer()};
  for (const std::string& script : scripts) {
    const SandboxSpec spec = TestSpec(layers, {"/bin/sh", "-ec", script});
    const CancelEvent never;
    const auto exit = TestLauncher().Run(spec, never, {});
    EXPECT_OK(exit);
    EXPECT_EQ(exit->exit_code, 0) << script;
    layers.insert(layers.begin(), spec.root.upper);
  }
  return layers;
}

std::string Describe(const std::vector<std::string>& layers) {
  const auto root = MountOverlay(
      {.layers = layers, .upper = "", .work = "", .empty_directory = NewTestDirectory()});
  EXPECT_OK(root);
  return DescribeTree(root->get());
}

// Merges each part of the stack, and all of it, and looks whether the image stays the same.
void ExpectMergesLikeTheKernel(const std::vector<std::string>& scripts) {
  const std::vector<std::string> layers = Generations(scripts);
  const std::string whole = Describe(layers);
  for (size_t first = 0; first < layers.size(); ++first) {
    for (size_t count = 2; first + count <= layers.size(); ++count) {
      const auto begin = layers.begin() + static_cast<std::ptrdiff_t>(first);
      const auto end = begin + static_cast<std::ptrdiff_t>(count);
      const std::string merged = NewTestDirectory();
      ASSERT_OK(MergeLayers({begin, end}, merged));
      std::vector<std::string> fewer(layers.begin(), begin);
      fewer.push_back(merged);
      fewer.insert(fewer.end(), end, layers.end());
      ASSERT_EQ(Describe(fewer), whole) << "layers " << first << " and " << count - 1 << " below";
    }
  }
}

TEST(LayerMergeTest, EveryPartOfAStackCanBeMerged) {
  ExpectMergesLikeTheKernel({
      "mkdir -p /d/e/f; echo 1 > /d/1; echo 2 > /d/e/2; echo 3 > /d/e/f/3; ln /d/1 /hard",
      "rm /d/1; echo new > /d/e/2; chmod 700 /d/e; mkdir /d/g; ln -s /hard /d/link",
      "rm -r /d/e; mkdir /d/e; echo other > /d/e/other; chown 12:34 /d/g; mkfifo /pipe",
      "mv /d/g /d/h; rm -r /d/e; echo file > /d/e; touch -d @1000 /d/h; rm /hard",
      "rm /d/e; mkdir -p /d/e/f; echo again > /d/e/f/3; chmod 4755 /d/e/f/3; chmod 1777 /d",
      "rm -r /d; echo d > /d",
      "rm /d; mkdir /d; echo 1 > /d/1",
  });
}

TEST(LayerMergeTest, DeletionsOfTheBaseStayDeleted) {
  ExpectMergesLikeTheKernel({
      "rm /etc/passwd; rm -r /root",
      "echo x > /etc/x; mkdir /root; echo y > /root/y",
      "rm /etc/x; rm -r /etc; mkdir /etc; echo z > /etc/passwd",
      "rm -r /root; rm /bin/vi; ln -s busybox /bin/vi",
  });
}

TEST(LayerMergeTest, RootLooksAsTheTopmost) {
  ExpectMergesLikeTheKernel({"chmod 700 /", "chmod 751 /; chown 7:8 /", "echo > /f"});
}

TEST(LayerMergeTest, TakesNoSpaceForFiles) {
  const std::vector<std::string> layers = Generations({"echo content > /file", "echo > /other"});
  const std::string merged = NewTestDirectory();
  ASSERT_OK(MergeLayers(layers, merged));
  struct stat before;
  struct stat after;
  ASSERT_EQ(stat(absl::StrCat(layers[1], "/file").c_str(), &before), 0);
  ASSERT_EQ(stat(absl::StrCat(merged, "/file").c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
}

}  // namespace
}  // namespace contree
