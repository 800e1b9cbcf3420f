#include "local-backend/testing/namespace_test_main.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/files/unique_fd.h"
#include "common/testing/temp_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "local-backend/images/busybox_layer.h"
#include "local-backend/sandbox/tun_device.h"
#include "local-backend/sandbox/user_namespace.h"

namespace contree {
namespace {

std::string& Directory() {
  static std::string directory;
  return directory;
}

std::unique_ptr<CgroupTree>& Cgroups() {
  static std::unique_ptr<CgroupTree> cgroups;
  return cgroups;
}

}  // namespace

const std::string& TestDeviceNodes() {
  static const std::string path = Directory() + "/nodes";
  return path;
}

CgroupTree* TestCgroups() { return Cgroups().get(); }

const std::string& TestStateDirectory() { return Directory(); }

std::string NewTestDirectory() {
  static int count = 0;
  std::string path = absl::StrCat(Directory(), "/t", ++count);
  if (mkdir(path.c_str(), 0755) != 0) std::abort();
  return path;
}

SandboxLauncher& TestLauncher() {
  static SandboxLauncher* const launcher = [] {
    auto created = SandboxLauncher::Create(
        {.mount_point = NewTestDirectory(), .limits = kTestLimits, .cgroups = TestCgroups()});
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

namespace {

constexpr uid_t kOrdinaryUser = 54'321;

// One whom the machine does not know: the files that name him are shown to this process only.
bool BecomeOrdinaryUser() {
  if (unshare(CLONE_NEWNS) != 0 ||
      mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return false;
  }
  const TempDirectory files;
  chmod(files.path().c_str(), 0755);
  for (const char* name : {"subuid", "subgid", "passwd"}) {
    const std::string path = files.File(name);
    std::ofstream out(path);
    if (std::string(name) == "passwd") {
      out << std::ifstream("/etc/passwd").rdbuf() << "contree-test:x:54321:54321::/:/bin/sh\n";
    } else {
      out << "contree-test:300000:65536\n";
    }
    out.close();
    chmod(path.c_str(), 0644);
    if (mount(path.c_str(), absl::StrCat("/etc/", name).c_str(), nullptr, MS_BIND, nullptr) != 0) {
      return false;
    }
  }
  return setgroups(0, nullptr) == 0 &&
         setresgid(kOrdinaryUser, kOrdinaryUser, kOrdinaryUser) == 0 &&
         setresuid(kOrdinaryUser, kOrdinaryUser, kOrdinaryUser) == 0 &&
         // The change of ids took /proc/self away.
         prctl(PR_SET_DUMPABLE, 1) == 0;
}

// For the root of the namespaces, and nobody else. Those without the rights to do so make none.
void MakeDeviceNodes(const std::string& directory, const NamespaceRoot& owner) {
  if (geteuid() != 0 || mkdir(directory.c_str(), 0755) != 0) return;
  struct stat root = {};
  stat("/", &root);
  const auto make = [&](const char* name, mode_t type, dev_t device) {
    const std::string path = directory + name;
    if (mknod(path.c_str(), type | 0600, device) == 0 &&
        chown(path.c_str(), owner.uid, owner.gid) != 0) {
      unlink(path.c_str());
    }
  };
  make("/memory", S_IFCHR, makedev(1, 1));
  make("/tun", S_IFCHR, makedev(10, 200));
  make("/disk", S_IFBLK, root.st_dev);
  if (chown(directory.c_str(), owner.uid, owner.gid) != 0) std::abort();
}

}  // namespace

int RunNamespaceTests(bool as_ordinary_user) {
  if (const absl::Status tun = MakeTunDeviceReachable(); !tun.ok()) std::cerr << tun << std::endl;
  if (as_ordinary_user && geteuid() == 0 && !BecomeOrdinaryUser()) {
    std::cerr << "cannot become an ordinary user: " << strerror(errno) << std::endl;
    return 1;
  }
  const TempDirectory outside;
  if (const auto root = RootOutside(); root.ok()) {
    MakeDeviceNodes(outside.File("nodes"), *root);
    auto cgroups = CgroupTree::Create(*root, {}, /*limit_cpus=*/false);
    if (cgroups.ok()) {
      Cgroups() = *std::move(cgroups);
    } else {
      std::cerr << "limits by rlimits only: " << cgroups.status().message() << std::endl;
    }
  }
  const auto inside = EnterPrivateNamespaces(outside.path());
  if (!inside.ok()) {
    std::cerr << inside.status() << std::endl;
    return 1;
  }
  Directory() = *inside;
  const int result = RUN_ALL_TESTS();
  // From in here, as the owner of what tests left.
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(*inside, ignored)) {
    std::filesystem::remove_all(entry.path(), ignored);
  }
  Cgroups().reset();
  return result;
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
  return contree::RunNamespaceTests(argc > 1 && std::string(argv[1]) == "--as-ordinary-user");
}
