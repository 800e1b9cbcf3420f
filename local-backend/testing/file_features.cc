// What programs count on of the file system that they run on, tried in the directory that is the
// argument: a line for each thing, "NAME: ok" or "NAME: " and what went otherwise. Linked
// statically, for images that hold no libraries.

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include <string>

namespace {

// What went otherwise; empty: nothing.
using Outcome = std::string;

Outcome Failed(const char* what) { return std::string(what) + ": " + strerror(errno); }

int Create(const char* name, const char* content) {
  const int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd >= 0 && pwrite(fd, content, strlen(content), 0) != static_cast<ssize_t>(strlen(content))) {
    close(fd);
    return -1;
  }
  return fd;
}

std::string Content(const char* name) {
  char bytes[4096];
  const int fd = open(name, O_RDONLY | O_CLOEXEC);
  const ssize_t got = fd < 0 ? -1 : read(fd, bytes, sizeof bytes);
  if (fd >= 0) close(fd);
  return got < 0 ? std::string(strerror(errno)) : std::string(bytes, static_cast<size_t>(got));
}

Outcome ExtendedAttributes() {
  if (Create("attributes", "x") < 0) return Failed("create");
  if (setxattr("attributes", "user.note", "value", 5, 0) != 0) return Failed("setxattr");
  char value[16] = {};
  if (getxattr("attributes", "user.note", value, sizeof value) != 5 ||
      strcmp(value, "value") != 0) {
    return Failed("getxattr");
  }
  char names[256];
  if (listxattr("attributes", names, sizeof names) < 10) return Failed("listxattr");
  if (removexattr("attributes", "user.note") != 0) return Failed("removexattr");
  if (getxattr("attributes", "user.note", value, sizeof value) >= 0 || errno != ENODATA) {
    return "it is still there";
  }
  return {};
}

// As setcap(8) does: cap_net_bind_service=ep.
Outcome FileCapabilities() {
  if (Create("capable", "x") < 0) return Failed("create");
  const uint32_t capability[5] = {0x02000001, 1 << 10, 0, 0, 0};
  if (setxattr("capable", "security.capability", capability, sizeof capability, 0) != 0) {
    return Failed("setxattr");
  }
  uint32_t read_back[8];
  const ssize_t got = getxattr("capable", "security.capability", read_back, sizeof read_back);
  if (got < 0) return Failed("getxattr");
  return (read_back[0] & 1) == 1 && read_back[1] == capability[1] ? "" : "it reads differently";
}

Outcome SharedMap() {
  const int fd = Create("mapped", "before");
  if (fd < 0) return Failed("create");
  void* const map = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (map == MAP_FAILED) return Failed("mmap");
  memcpy(map, "mapped", 6);
  if (msync(map, 4096, MS_SYNC) != 0) return Failed("msync");
  if (Content("mapped") != "mapped") return "what was written to the map is not read";
  if (pwrite(fd, "direct", 6, 0) != 6) return Failed("pwrite");
  if (memcmp(map, "direct", 6) != 0) return "what was written to the file is not in the map";
  return {};
}

Outcome TemporaryFile() {
  const int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
  if (fd < 0) return Failed("open");
  if (write(fd, "late", 4) != 4) return Failed("write");
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  if (linkat(AT_FDCWD, path, AT_FDCWD, "linked", AT_SYMLINK_FOLLOW) != 0) return Failed("linkat");
  return Content("linked") == "late" ? "" : "it reads differently";
}

Outcome Unlinked() {
  const int fd = Create("unlinked", "still here");
  if (fd < 0) return Failed("create");
  if (unlink("unlinked") != 0) return Failed("unlink");
  struct stat info;
  if (fstat(fd, &info) != 0) return Failed("fstat");
  if (info.st_nlink != 0) return "it has links";
  if (fchmod(fd, 0600) != 0) return Failed("fchmod");
  char bytes[16] = {};
  if (pread(fd, bytes, sizeof bytes, 0) != 10) return Failed("pread");
  return strcmp(bytes, "still here") == 0 ? "" : "it reads differently";
}

Outcome HardLinks() {
  if (Create("first", "one") < 0) return Failed("create");
  if (link("first", "second") != 0) return Failed("link");
  struct stat first, second;
  if (stat("first", &first) != 0 || stat("second", &second) != 0) return Failed("stat");
  return first.st_ino == second.st_ino && first.st_nlink == 2 ? "" : "they are two files";
}

Outcome Renames() {
  if (Create("a", "a") < 0 || Create("b", "b") < 0) return Failed("create");
  if (syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE) == 0) {
    return "what was there was replaced";
  }
  if (errno != EEXIST) return Failed("without replacing");
  if (rename("a", "b") != 0) return Failed("rename");
  return Content("b") == "a" && access("a", F_OK) != 0 ? "" : "it is not in its place";
}

Outcome ExchangingRename() {
  if (Create("left", "left") < 0 || Create("right", "right") < 0) return Failed("create");
  if (syscall(SYS_renameat2, AT_FDCWD, "left", AT_FDCWD, "right", RENAME_EXCHANGE) != 0) {
    return Failed("renameat2");
  }
  return Content("left") == "right" && Content("right") == "left" ? "" : "they read differently";
}

Outcome Holes() {
  const int fd = Create("sparse", "");
  if (fd < 0) return Failed("create");
  char block[8192];
  memset(block, 'x', sizeof block);
  if (pwrite(fd, block, sizeof block, 0) != sizeof block) return Failed("pwrite");
  if (fallocate(fd, 0, 0, 65536) != 0) return Failed("fallocate");
  if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) != 0) {
    return Failed("punch");
  }
  struct stat info;
  char byte = 'y';
  if (fstat(fd, &info) != 0 || info.st_size != 65536) return "it has another size";
  if (pread(fd, &byte, 1, 0) != 1 || byte != 0) return "nothing was punched";
  if (ftruncate(fd, 100) != 0 || fstat(fd, &info) != 0 || info.st_size != 100) {
    return Failed("ftruncate");
  }
  return {};
}

// Whether a child finds it locked.
template <typename Try>
Outcome LockedForOthers(Try try_lock) {
  const pid_t child = fork();
  if (child < 0) return Failed("fork");
  if (child == 0) _exit(try_lock() ? 1 : 0);
  int status;
  if (waitpid(child, &status, 0) != child) return Failed("waitpid");
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? "" : "another has the lock too";
}

Outcome FileLocks() {
  const int fd = Create("locked", "x");
  if (fd < 0) return Failed("create");
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) return Failed("flock");
  return LockedForOthers([] {
    const int other = open("locked", O_RDWR | O_CLOEXEC);
    return other >= 0 && flock(other, LOCK_EX | LOCK_NB) == 0;
  });
}

Outcome RecordLocks() {
  const int fd = Create("records", "x");
  if (fd < 0) return Failed("create");
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  if (fcntl(fd, F_SETLK, &lock) != 0) return Failed("fcntl");
  return LockedForOthers([] {
    const int other = open("records", O_RDWR | O_CLOEXEC);
    struct flock wanted = {};
    wanted.l_type = F_WRLCK;
    return other >= 0 && fcntl(other, F_SETLK, &wanted) == 0;
  });
}

Outcome Sockets() {
  const int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  strcpy(address.sun_path, "socket");
  const auto* const to = reinterpret_cast<const sockaddr*>(&address);
  if (bind(server, to, sizeof address) != 0) return Failed("bind");
  if (listen(server, 1) != 0) return Failed("listen");
  if (connect(client, to, sizeof address) != 0) return Failed("connect");
  return {};
}

Outcome NamedPipes() {
  if (mkfifo("pipe", 0644) != 0) return Failed("mkfifo");
  const pid_t child = fork();
  if (child < 0) return Failed("fork");
  if (child == 0) {
    const int out = open("pipe", O_WRONLY | O_CLOEXEC);
    _exit(out >= 0 && write(out, "through", 7) == 7 ? 0 : 1);
  }
  const std::string got = Content("pipe");
  waitpid(child, nullptr, 0);
  return got == "through" ? "" : got;
}

Outcome Times() {
  if (Create("timed", "x") < 0) return Failed("create");
  const timespec times[2] = {{.tv_sec = 1'000'000'000, .tv_nsec = 123'456'789},
                             {.tv_sec = 1'100'000'000, .tv_nsec = 987'654'321}};
  if (utimensat(AT_FDCWD, "timed", times, 0) != 0) return Failed("utimensat");
  struct stat info;
  if (stat("timed", &info) != 0) return Failed("stat");
  return info.st_mtim.tv_sec == times[1].tv_sec && info.st_mtim.tv_nsec == times[1].tv_nsec
             ? ""
             : "they read differently";
}

Outcome OwnersAndModes() {
  if (Create("owned", "x") < 0) return Failed("create");
  if (chown("owned", 1000, 1001) != 0) return Failed("chown");
  if (chmod("owned", 06755) != 0) return Failed("chmod");
  struct stat info;
  if (stat("owned", &info) != 0) return Failed("stat");
  return info.st_uid == 1000 && info.st_gid == 1001 && (info.st_mode & 07777) == 06755
             ? ""
             : "they read differently";
}

Outcome Notifications() {
  const int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (watch < 0 || inotify_add_watch(watch, ".", IN_CREATE) < 0) return Failed("inotify");
  if (Create("noticed", "x") < 0) return Failed("create");
  alignas(inotify_event) char event[512];
  if (read(watch, event, sizeof event) <= 0) return Failed("read");
  return strcmp(reinterpret_cast<inotify_event*>(event)->name, "noticed") == 0 ? "" : "of another";
}

struct Feature {
  const char* name;
  Outcome (*run)();
};

constexpr Feature kFeatures[] = {
    {"extended attributes", ExtendedAttributes},
    {"file capabilities", FileCapabilities},
    {"shared maps", SharedMap},
    {"temporary files", TemporaryFile},
    {"unlinked files", Unlinked},
    {"hard links", HardLinks},
    {"renames", Renames},
    {"exchanging renames", ExchangingRename},
    {"holes", Holes},
    {"file locks", FileLocks},
    {"record locks", RecordLocks},
    {"sockets", Sockets},
    {"named pipes", NamedPipes},
    {"times", Times},
    {"owners and modes", OwnersAndModes},
    {"notifications", Notifications},
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 || chdir(argv[1]) != 0) {
    fprintf(stderr, "no directory\n");
    return 2;
  }
  for (const Feature& feature : kFeatures) {
    const Outcome outcome = feature.run();
    printf("%s: %s\n", feature.name, outcome.empty() ? "ok" : outcome.c_str());
  }
  return 0;
}
