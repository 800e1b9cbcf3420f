// Kills a process that uses the store at many moments, and looks at what it leaves.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/files/unique_fd.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "local-backend/images/image_reader.h"
#include "local-backend/images/image_store.h"
#include "local-backend/testing/namespace_test_main.h"

namespace contree {
namespace {

using testing::IsEmpty;

constexpr char kBusybox[] = "/bin/busybox";
constexpr char kHead[] = "head";

// What `path` in the image holds, as a number; -1: there is no such file.
int NumberIn(ImageStore& store, const Image& image, const std::string& path) {
  const auto reader =
      ImageReader::Open(store.LayerPaths(image), store.empty_directory(), image.lease);
  EXPECT_OK(reader);
  const auto file = reader->OpenFile(path);
  if (!file.ok()) return -1;
  char text[20] = {};
  EXPECT_GT(read(file->get(), text, sizeof text - 1), 0) << path;
  int number = -1;
  EXPECT_TRUE(absl::SimpleAtoi(text, &number)) << path;
  return number;
}

// Makes images one upon the other, each with its number in two files, and says the number when the
// tag is on it. Removes what has no tag now and then. Never returns.
[[noreturn]] void Work(const std::string& directory, int report) {
  const auto store = ImageStore::Open(directory);
  if (!store.ok()) _exit(3);
  for (int i = 0;; ++i) {
    const auto parent = (*store)->Resolve(absl::StrCat("tag:", kHead));
    if (!parent.ok()) _exit(4);
    const int number = NumberIn(**store, *parent, "/number") + 1;
    const auto run = (*store)->NewRun(*parent);
    if (!run.ok()) _exit(5);
    std::ofstream(run->upper + "/number") << number;
    std::ofstream(absl::StrCat(run->upper, "/file", number % 50)) << number;
    const auto child = (*store)->Commit(*run, *parent, {}, "", 1 << 20);
    if (!child.ok() || !(*store)->SetTag(child->image_uuid, kHead).ok()) _exit(6);
    if (write(report, &number, sizeof number) != sizeof number) _exit(7);
    if (i % 9 == 8) {
      // As an import that will not come to its end.
      const auto layer = (*store)->NewLayer({});
      if (!layer.ok()) _exit(8);
      std::ofstream(layer->upper + "/x") << number;
      if (!(*store)->PublishLayer(*layer, absl::StrCat("source", number)).ok()) _exit(9);
      const CollectOptions all = {.untagged_unused_since = absl::InfiniteFuture(),
                                  .unused_layers_before = absl::InfiniteFuture()};
      if (!(*store)->Collect(all).ok()) _exit(10);
    }
  }
}

TEST(ImageStoreCrashTest, KilledAtAnyMomentItIsWhole) {
  const std::string directory = NewTestDirectory();
  {
    ASSERT_OK_AND_ASSIGN(const auto store, ImageStore::Open(directory));
    ASSERT_OK(store->Seed(kBusybox));
    ASSERT_OK_AND_ASSIGN(const Image base, store->Resolve("tag:busybox:latest"));
    ASSERT_OK_AND_ASSIGN(const RunDirectory run, store->NewRun(base));
    std::ofstream(run.upper + "/number") << 0;
    ASSERT_OK_AND_ASSIGN(const auto first, store->Commit(run, base, {}, "", 1000));
    ASSERT_OK(store->SetTag(first.image_uuid, kHead).status());
  }
  int reported = 0;
  bool was_flat = false;
  for (int round = 0; round < 30; ++round) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    UniqueFd reports(ends[0]);
    UniqueFd report(ends[1]);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) Work(directory, report.get());
    report.Reset();
    // Not before it works, then a little later each time, by steps that are no multiple of what it
    // does.
    int number = 0;
    ASSERT_EQ(read(reports.get(), &number, sizeof number), ssize_t{sizeof number});
    absl::SleepFor(absl::Microseconds(round * 7'919));
    ASSERT_EQ(kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "exit code " << WEXITSTATUS(status);
    do {
      reported = number;
    } while (read(reports.get(), &number, sizeof number) == sizeof number);

    ASSERT_OK_AND_ASSIGN(const auto store, ImageStore::Open(directory));
    ASSERT_OK_AND_ASSIGN(const std::vector<std::string> complaints, store->Check());
    ASSERT_THAT(complaints, IsEmpty()) << "round " << round;
    ASSERT_OK_AND_ASSIGN(const Image head, store->Resolve(absl::StrCat("tag:", kHead)));
    const int last = NumberIn(*store, head, "/number");
    // Nothing that was said to be there is lost; at most one came after.
    ASSERT_TRUE(last == reported || last == reported + 1) << last << " after " << reported;
    for (int file = 0; file < 50; ++file) {
      const int written = last - (last - file % 50 + 50) % 50;
      EXPECT_EQ(NumberIn(*store, head, absl::StrCat("/file", file)), written < 1 ? -1 : written);
    }
    was_flat |= static_cast<size_t>(last) > kManyLayers && head.layers.size() <= kManyLayers;
  }
  EXPECT_TRUE(was_flat) << "so few images were made that none was flattened: " << reported;
}

}  // namespace
}  // namespace contree
