// Tries to get out of sandboxes, as hostile commands and hostile images would; once started by root
// and once by an ordinary user. The attacks themselves are in escape_attacks.cc; those over the
// network in network_test.cc, those through the HTTP API in escape_api_test.cc.

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/files/state_directory.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "local-backend/importer/layer_unpacker.h"
#include "local-backend/sandbox/escape_attacks_image.h"
#include "local-backend/sandbox/sandbox.h"
#include "local-backend/testing/namespace_test_main.h"
#include "tests/harness/oci_image.h"

namespace contree {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing_harness::TarEntry;

constexpr size_t kMaxFile = 4 << 20;

std::string Read(const std::string& path) {
  return ReadFile(path, kMaxFile).value_or("unreadable");
}

// An image with busybox and the attacks.
std::string AttackLayer() {
  static const std::string layer = [] {
    std::string path = NewTestDirectory();
    std::ofstream file(path + "/attack", std::ios::binary);
    file << EscapeAttacksBytes();
    file.close();
    chmod((path + "/attack").c_str(), 0755);
    for (const char* directory : {"/tmp", "/mnt"}) mkdir((path + directory).c_str(), 01777);
    return path;
  }();
  return layer;
}

struct Ended {
  std::string output;
  SandboxExit exit;
};

class EscapeTest : public testing::Test {
 protected:
  // A file that anybody on the host may read, outside of all that the sandboxes were given.
  void SetUp() override {
    host_directory_ = NewTestDirectory();
    host_file_ = host_directory_ + "/secret";
    std::ofstream(host_file_) << "the host's secret\n";
    chmod(host_file_.c_str(), 0666);
    chmod(host_directory_.c_str(), 0777);
  }
  void TearDown() override { EXPECT_EQ(Read(host_file_), "the host's secret\n"); }

  static SandboxSpec Spec(std::vector<std::string> argv) {
    return TestSpec({AttackLayer(), TestBusyboxLayer()}, std::move(argv));
  }

  static Ended Run(const SandboxSpec& spec) {
    Ended ended;
    SandboxEvents events;
    events.on_output = [&ended](OutputStream, absl::string_view bytes) {
      if (ended.output.size() < kMaxFile) absl::StrAppend(&ended.output, bytes);
    };
    const CancelEvent never;
    auto exit = TestLauncher().Run(spec, never, events);
    EXPECT_OK(exit);
    if (exit.ok()) ended.exit = *std::move(exit);
    return ended;
  }

  // As root of the image and as one of its users.
  static void ExpectRefused(const std::vector<std::string>& attack) {
    for (const uint32_t uid : {0U, 1000U}) {
      std::vector<std::string> argv = {"/attack"};
      argv.insert(argv.end(), attack.begin(), attack.end());
      SandboxSpec spec = Spec(std::move(argv));
      spec.uid = uid;
      spec.gid = uid;
      const Ended ended = Run(spec);
      EXPECT_EQ(ended.output, "refused\n") << "uid " << uid;
      EXPECT_EQ(ended.exit.exit_code, 0);
    }
  }

  static std::string Shell(const std::string& script) {
    return Run(Spec({"/bin/sh", "-c", script})).output;
  }

  std::string host_directory_;
  std::string host_file_;
};

TEST_F(EscapeTest, FilesOfTheHost) {
  ExpectRefused({"host-file", host_file_, "the host's secret"});
}

TEST_F(EscapeTest, FilesThatEveryHostHas) {
  // Its own, if at all.
  const std::string machine = Read("/etc/hostname");
  EXPECT_THAT(Shell("cat /etc/hostname /proc/1/root/etc/hostname /proc/self/root/../etc/hostname"),
              Not(HasSubstr(machine)));
}

TEST_F(EscapeTest, DevicesOfTheHost) { ExpectRefused({"devices"}); }

TEST_F(EscapeTest, DeviceNodesInAnImage) {
  // Only real root can have made them, before it entered the namespaces.
  for (const char* name : {"/memory", "/disk", "/tun"}) {
    struct stat info;
    if (stat((TestDeviceNodes() + name).c_str(), &info) != 0) {
      GTEST_SKIP() << "device nodes cannot be made here";
    }
    SandboxSpec spec =
        TestSpec({TestDeviceNodes(), AttackLayer(), TestBusyboxLayer()}, {"/attack", "open", name});
    EXPECT_EQ(Run(spec).output, "refused\n") << name;
  }
}

TEST_F(EscapeTest, KernelInterfaces) { ExpectRefused({"system-calls"}); }

TEST_F(EscapeTest, Mounting) {
  const std::string out = Shell(
      "mount -t tmpfs none /mnt 2>&1; mount -t proc proc /mnt 2>&1; mount -o bind / /mnt 2>&1; "
      "mount -o remount,rw /proc/sys 2>&1; umount /proc/sys 2>&1; umount -l / 2>&1; "
      "grep -c ' /mnt ' /proc/mounts");
  EXPECT_THAT(out, HasSubstr("Operation not permitted"));
  EXPECT_THAT(out, testing::EndsWith("0\n"));
}

TEST_F(EscapeTest, ProcessesOfTheHost) {
  // One that runs as the very user of the sandboxes.
  const pid_t victim = fork();
  if (victim == 0) {
    pause();
    _exit(0);
  }
  ExpectRefused({"processes"});
  EXPECT_EQ(waitpid(victim, nullptr, WNOHANG), 0) << "a process of the host was ended";
  kill(victim, SIGKILL);
  waitpid(victim, nullptr, 0);
}

TEST_F(EscapeTest, MoreThanTheLimits) { ExpectRefused({"limits"}); }

TEST_F(EscapeTest, SetuidPrograms) {
  const std::string layer = NewTestDirectory();
  std::ofstream(layer + "/setuid", std::ios::binary) << EscapeAttacksBytes();
  chmod((layer + "/setuid").c_str(), 06755);
  SandboxSpec spec =
      TestSpec({layer, AttackLayer(), TestBusyboxLayer()}, {"/setuid", "privileges"});
  spec.uid = 1000;
  spec.gid = 1000;
  EXPECT_EQ(Run(spec).output, "refused\n");
}

TEST_F(EscapeTest, LayersOfOtherImages) {
  const std::string layer = NewTestDirectory();
  mkdir((layer + "/etc").c_str(), 0755);
  const std::string file = layer + "/etc/shared";
  std::ofstream(file) << "as it was\n";
  chmod(file.c_str(), 0644);
  struct stat before;
  ASSERT_EQ(stat(file.c_str(), &before), 0);
  const SandboxSpec spec =
      TestSpec({layer, AttackLayer(), TestBusyboxLayer()}, {"/attack", "layer", "/etc/shared"});
  EXPECT_THAT(Run(spec).output, testing::EndsWith("refused\n"));
  struct stat after;
  ASSERT_EQ(stat(file.c_str(), &after), 0);
  EXPECT_EQ(Read(file), "as it was\n");
  EXPECT_EQ(after.st_mode, before.st_mode);
  EXPECT_EQ(after.st_uid, before.st_uid);
  EXPECT_EQ(after.st_nlink, 1);
  EXPECT_EQ(after.st_ctim.tv_nsec, before.st_ctim.tv_nsec);
  EXPECT_LT(getxattr(file.c_str(), "user.mark", nullptr, 0), 0);
  // What it marked as if it were overlayfs misleads no run on top of it.
  const SandboxSpec child =
      TestSpec({spec.root.upper, layer, TestBusyboxLayer()},
               {"/bin/sh", "-c", "ls -a /marked | wc -l; ls /etc | grep -c shared"});
  EXPECT_EQ(Run(child).output, "2\n0\n");
}

TEST_F(EscapeTest, ForkBombHarmsNobodyElse) {
  SandboxSpec bomb = Spec({"/bin/sh", "-c", "b() { b | b & }; b & exec sleep 100"});
  bomb.timeout = absl::Seconds(1);
  std::string meanwhile;
  std::thread other([&meanwhile] {
    // Elsewhere one process may have to wait for the bomb's end, where rlimits count all together.
    if (TestCgroups() == nullptr) return;
    for (int i = 0; i < 3; ++i) meanwhile += Shell("(echo alive) | cat");
  });
  const Ended ended = Run(bomb);
  other.join();
  EXPECT_TRUE(ended.exit.timed_out);
  if (TestCgroups() != nullptr) {
    EXPECT_EQ(meanwhile, "alive\nalive\nalive\n");
  }
  EXPECT_EQ(Shell("echo alive"), "alive\n");
}

TEST_F(EscapeTest, MemoryBombHarmsNobodyElse) {
  const Ended ended =
      Run(Spec({"/bin/sh", "-c", "dd if=/dev/zero of=/dev/null bs=600M count=1; echo $?"}));
  EXPECT_THAT(ended.output, Not(testing::StartsWith("0\n")));
  EXPECT_THAT(ended.output, Not(HasSubstr("1+0 records out")));
  // In files that lie in memory.
  const std::string files =
      Shell("dd if=/dev/zero of=/dev/shm/f bs=1M count=600 2>/dev/null; echo $?");
  EXPECT_NE(files, "0\n");
  // Nowhere else is memory that looks like a disk.
  EXPECT_THAT(Shell("echo x > /dev/f; echo $?"), HasSubstr("Read-only file system"));
  EXPECT_EQ(Shell("grep ' tmpfs ' /proc/mounts | grep -v -e ' ro[, ]' | cut -d' ' -f2"),
            "/dev/shm\n");
  EXPECT_EQ(Shell("echo alive"), "alive\n");
}

TEST_F(EscapeTest, DiskBombIsStopped) {
  SandboxSpec bomb =
      Spec({"/bin/sh", "-c", "while :; do i=$((i+1)); head -c 1000000 /dev/zero > /f$i; done"});
  bomb.disk_bytes = 24 << 20;
  const Ended ended = Run(bomb);
  EXPECT_FALSE(ended.exit.timed_out);
  EXPECT_EQ(ended.exit.signal, SIGKILL);
  EXPECT_GT(ended.exit.written_bytes, 24 << 20);
  // Empty files take no blocks, but directories do.
  SandboxSpec names = Spec(
      {"/bin/sh", "-c", "while :; do i=$((i+1)); mkdir -p /d$i/a/b/c/d/e/f/g/h/i/j/k/l/m/n; done"});
  names.disk_bytes = 4 << 20;
  EXPECT_GT(Run(names).exit.written_bytes, 4 << 20);
}

TEST_F(EscapeTest, OutputBombIsReadAndForgotten) {
  SandboxSpec bomb = Spec({"/bin/sh", "-c", "dd if=/dev/zero bs=1M count=100; echo done >&2"});
  EXPECT_EQ(Run(bomb).exit.exit_code, 0);
}

TEST_F(EscapeTest, NothingIsLeftBehind) {
  // A process that left its session, ignores signals and holds everything open.
  Run(Spec({"/bin/sh", "-c",
            "(trap '' HUP TERM INT; setsid sleep 1000 </dev/null >/dev/null 2>&1 &) & sleep 0.1"}));
  // The test is the only process that its user namespace holds, and bazel's do not sleep 1000.
  int sleeping = 0;
  for (int pid = 1; pid < 100'000; ++pid) {
    const auto line = ReadFile(absl::StrCat("/proc/", pid, "/cmdline"), 4096);
    if (line.ok() && *line == std::string("sleep\0"
                                          "1000\0",
                                          11))
      ++sleeping;
  }
  EXPECT_EQ(sleeping, 0);
}

// Hostile images.

class HostileImageTest : public EscapeTest {
 protected:
  struct Unpacked {
    absl::Status status;
    std::string layer;
  };

  static Unpacked Unpack(const std::vector<TarEntry>& entries,
                         const std::vector<std::string>& below = {}) {
    const std::string place = NewTestDirectory();
    const std::string archive = place + "/layer.tar";
    std::ofstream(archive, std::ios::binary)
        << testing_harness::MakeLayer(entries, testing_harness::Packing::kPlain);
    for (const char* name : {"/upper", "/work", "/empty"}) mkdir((place + name).c_str(), 0755);
    const UniqueFd file(open(archive.c_str(), O_RDONLY | O_CLOEXEC));
    return {.status = UnpackLayer({.archive_fd = file.get(),
                                   .layers = below,
                                   .upper = place + "/upper",
                                   .work = place + "/work",
                                   .empty_directory = place + "/empty",
                                   .max_bytes = 64 << 20})
                          .status(),
            .layer = place + "/upper"};
  }

  // Whether or not the archive is refused: what it wanted to overwrite is as it was (TearDown), and
  // what came of it leads nowhere.
  void ExpectHarmless(const std::vector<TarEntry>& entries) {
    const Unpacked unpacked = Unpack(entries);
    struct stat info;
    EXPECT_NE(lstat((host_directory_ + "/planted").c_str(), &info), 0);
    if (!unpacked.status.ok()) return;
    const SandboxSpec spec = TestSpec(
        {unpacked.layer, TestBusyboxLayer()},
        {"/bin/sh", "-c", "cat /e /d/* /e/* 2>/dev/null; cat /x* /*/x* 2>/dev/null; true"});
    EXPECT_THAT(Run(spec).output, Not(HasSubstr("the host's secret")));
  }
};

TEST_F(HostileImageTest, PathsThatLeadOut) {
  const std::string up = "../../../../../../../../../..";
  ExpectHarmless({{.path = up + host_file_, .content = "overwritten"}});
  ExpectHarmless({{.path = host_file_, .content = "overwritten"}});
  ExpectHarmless({{.path = host_directory_ + "/planted", .content = "planted"}});
  ExpectHarmless({{.path = up + host_directory_ + "/planted", .content = "planted"}});
  ExpectHarmless({{.path = "d/../../../planted", .content = "planted"}});
}

TEST_F(HostileImageTest, LinksThatLeadOut) {
  const std::string up = "../../../../../../../../../..";
  for (const std::string& target : {host_directory_, up + host_directory_}) {
    ExpectHarmless({{.path = "d", .kind = TarEntry::Kind::kSymlink, .target = target},
                    {.path = "d/secret", .content = "overwritten"},
                    {.path = "d/planted", .content = "planted"}});
    ExpectHarmless({{.path = "d", .kind = TarEntry::Kind::kSymlink, .target = target},
                    {.path = "d", .kind = TarEntry::Kind::kDirectory, .mode = 0777},
                    {.path = "d/planted", .content = "planted"}});
  }
  for (const std::string& target : {host_file_, up + host_file_}) {
    ExpectHarmless({{.path = "e", .kind = TarEntry::Kind::kSymlink, .target = target},
                    {.path = "e", .content = "overwritten"}});
    ExpectHarmless({{.path = "e", .kind = TarEntry::Kind::kHardLink, .target = target},
                    {.path = "e", .content = "overwritten"}});
    ExpectHarmless({{.path = "e", .kind = TarEntry::Kind::kSymlink, .target = target},
                    {.path = "x", .kind = TarEntry::Kind::kHardLink, .target = "e"},
                    {.path = "x", .content = "overwritten"}});
  }
}

TEST_F(HostileImageTest, WhiteoutsThatLeadOut) {
  const std::string up = "../../../../../../../../../..";
  ExpectHarmless({{.path = up + host_directory_ + "/.wh.secret"}});
  ExpectHarmless({{.path = ".wh..."}, {.path = ".wh.."}, {.path = ".wh."}});
  ExpectHarmless({{.path = "d", .kind = TarEntry::Kind::kSymlink, .target = host_directory_},
                  {.path = "d/.wh.secret"},
                  {.path = "d/.wh..wh..opq"}});
}

TEST_F(HostileImageTest, DevicesAreNotMade) {
  const Unpacked unpacked = Unpack({{.path = "memory",
                                     .kind = TarEntry::Kind::kCharacterDevice,
                                     .mode = 0666,
                                     .device_major = 1,
                                     .device_minor = 1},
                                    {.path = "whiteout",
                                     .kind = TarEntry::Kind::kCharacterDevice,
                                     .device_major = 0,
                                     .device_minor = 0}});
  struct stat info;
  EXPECT_NE(lstat((unpacked.layer + "/memory").c_str(), &info), 0);
  EXPECT_NE(lstat((unpacked.layer + "/whiteout").c_str(), &info), 0);
}

TEST_F(HostileImageTest, MarksOfOverlayfsAreNotTaken) {
  const Unpacked unpacked = Unpack({{.path = "d",
                                     .kind = TarEntry::Kind::kDirectory,
                                     .mode = 0755,
                                     .xattrs = {{"user.overlay.opaque", "y"},
                                                {"user.overlay.redirect", "/etc"},
                                                {"trusted.overlay.redirect", "/etc"},
                                                {"trusted.overlay.opaque", "y"}}}});
  for (const char* name : {"user.overlay.opaque", "user.overlay.redirect",
                           "trusted.overlay.redirect", "trusted.overlay.opaque"}) {
    EXPECT_LT(getxattr((unpacked.layer + "/d").c_str(), name, nullptr, 0), 0) << name;
  }
}

TEST_F(HostileImageTest, CapabilitiesAndSetuidGiveNothing) {
  // cap_sys_admin, cap_net_raw and all others, effective, in the form of security.capability.
  const std::string all = std::string("\x01\x00\x00\x02", 4) + std::string(4, '\xff') +
                          std::string(4, '\0') + std::string("\xff\x01\x00\x00", 4) +
                          std::string(4, '\0');
  const Unpacked unpacked = Unpack({{.path = "capable",
                                     .content = std::string(EscapeAttacksBytes()),
                                     .mode = 06755,
                                     .xattrs = {{"security.capability", all}}}});
  if (!unpacked.status.ok()) return;  // refused altogether
  SandboxSpec spec =
      TestSpec({unpacked.layer, AttackLayer(), TestBusyboxLayer()}, {"/capable", "privileges"});
  spec.uid = 1000;
  spec.gid = 1000;
  EXPECT_THAT(Run(spec).output, testing::AnyOf("refused\n", HasSubstr("Operation not permitted")));
}

TEST_F(HostileImageTest, NamesThatMislead) {
  const Unpacked unpacked = Unpack({{.path = "line\nfeed", .content = "1"},
                                    {.path = "back\\slash", .content = "2"},
                                    {.path = "\x1b[31mred", .content = "3"},
                                    {.path = "-rf", .content = "4"},
                                    {.path = std::string(255, 'n'), .content = "5"}});
  ASSERT_OK(unpacked.status);
  const SandboxSpec spec =
      TestSpec({unpacked.layer, TestBusyboxLayer()},
               {"/bin/sh", "-c", "cat ./line*feed ./back* ./*red ./-rf ./nnn*"});
  EXPECT_EQ(Run(spec).output, "12345");
}

TEST_F(HostileImageTest, EtcThatIsALinkToTheHost) {
  // What sandboxes are given lands in the image, wherever its links point.
  const std::string layer = NewTestDirectory();
  ASSERT_EQ(symlink(host_directory_.c_str(), (layer + "/proc").c_str()), 0);
  SandboxSpec spec = TestSpec({layer, TestBusyboxLayer()}, {"/bin/sh", "-c", "ls /proc"});
  SandboxEvents events;
  std::string out;
  events.on_output = [&out](OutputStream, absl::string_view bytes) {
    absl::StrAppend(&out, bytes);
  };
  const CancelEvent never;
  (void)TestLauncher().Run(spec, never, events);
  EXPECT_THAT(out, Not(HasSubstr("secret")));
  for (const char* name : {"/proc", "/dev", "/self", "/sys"}) {
    struct stat info;
    EXPECT_NE(lstat((host_directory_ + name).c_str(), &info), 0) << name;
  }
}

}  // namespace
}  // namespace contree
