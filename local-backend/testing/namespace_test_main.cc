#include "local-backend/testing/namespace_test_main.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "common/files/unique_fd.h"
#include "common/testing/temp_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "local-backend/images/busybox_layer.h"
#include "local-backend/sandbox/user_namespace.h"

namespace contree {
namespace {

std::string& Directory() {
  static std::string directory;
  return directory;
}

}  // namespace

const std::string& TestStateDirectory() { return Directory(); }

std::string NewTestDirectory() {
  static int count = 0;
  std::string path = absl::StrCat(Directory(), "/t", ++count);
  if (mkdir(path.c_str(), 0755) != 0) std::abort();
  return path;
}

SandboxLauncher& TestLauncher() {
  static SandboxLauncher* const launcher = [] {
    auto created = SandboxLauncher::Create({.mount_point = NewTestDirectory()});
    if (!created.ok()) {
      std::cerr << created.status() << std::endl;
      std::abort();
    }
    return created->release();
  }();
  return *launcher;
}

std::string TestBusyboxLayer() {
  static const std::string layer = [] {
    std::string path = NewTestDirectory();
    const absl::Status status = MakeBusyboxLayer(path, "/bin/busybox");
    if (!status.ok()) {
      std::cerr << status << std::endl;
      std::abort();
    }
    return path;
  }();
  return layer;
}

SandboxSpec TestSpec(const std::vector<std::string>& layers, std::vector<std::string> argv) {
  SandboxSpec spec;
  const std::string place = NewTestDirectory();
  spec.root = {.layers = layers,
               .upper = absl::StrCat(place, "/upper"),
               .work = absl::StrCat(place, "/work"),
               .empty_directory = absl::StrCat(place, "/empty")};
  for (const std::string& path : {spec.root.upper, spec.root.work, spec.root.empty_directory}) {
    if (mkdir(path.c_str(), 0755) != 0) std::abort();
  }
  spec.hostname = "box";
  spec.argv = std::move(argv);
  spec.environment = {"PATH=/bin:/usr/bin", "HOME=/root"};
  spec.timeout = absl::Seconds(60);
  return spec;
}

}  // namespace contree

int main(int argc, char** argv) {
  unsetenv("TEST_PREMATURE_EXIT_FILE");  // its directory is out of reach inside
  // So is that of the report: it goes through a descriptor that is opened outside. GoogleTest reads
  // where to write it when it is initialised.
  contree::UniqueFd report;
  if (const char* path = getenv("XML_OUTPUT_FILE"); path != nullptr) {
    report.Reset(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
    fchmod(report.get(), 0666);
    testing::GTEST_FLAG(output) = absl::StrCat("xml:/proc/self/fd/", report.get());
  }
  testing::InitGoogleMock(&argc, argv);
  signal(SIGPIPE, SIG_IGN);
  const contree::TempDirectory outside;
  const auto inside = contree::EnterPrivateNamespaces(outside.path());
  if (!inside.ok()) {
    std::cerr << inside.status() << std::endl;
    return 1;
  }
  contree::Directory() = *inside;
  const int result = RUN_ALL_TESTS();
  // From in here, as the owner of what tests left.
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(*inside, ignored)) {
    std::filesystem::remove_all(entry.path(), ignored);
  }
  return result;
}
