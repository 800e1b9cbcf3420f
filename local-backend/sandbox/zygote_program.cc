// The zygote: a small process with one thread that makes the backend's sandboxes' first processes,
// each a child of the backend that executes bubblewrap. A fork of the backend itself would copy its
// page tables, and each page that either of the two writes to next.
//
// Where it can, it lives in a root directory of its own that shows only what bubblewrap needs:
// bubblewrap reads the list of mounts once for every mount that it makes.
//
// Linked statically and without the C++ runtime.
//
//   argv[1]: the mount point of sandboxes, an empty directory; argv[2]: "own-root" or "host-root";
//   argv[3]: the path of bubblewrap, and behind it of what else is executed; descriptors as in
//   zygote_protocol.h

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <initializer_list>

#include "local-backend/sandbox/zygote_protocol.h"

namespace {

using contree::kAttachedControl;
using contree::kAttachedCount;
using contree::kAttachedDiagnostics;
using contree::kAttachedNetwork;
using contree::kAttachedRoot;
using contree::kMaxAttachedFiles;
using contree::kMaxAttachedGroups;
using contree::kMaxZygoteMessage;
using contree::kSandboxControl;
using contree::kSandboxData;
using contree::kSandboxFilter;
using contree::kZygoteFilter;
using contree::kZygoteInit;
using contree::kZygoteMountPoint;
using contree::kZygoteSocket;
using contree::ZygoteReply;
using contree::ZygoteRequest;

constexpr int kMaxDescriptors = kAttachedCount + 1 + kMaxAttachedGroups + kMaxAttachedFiles;

// Outside of main's stack; one request is looked at at a time.
char message[kMaxZygoteMessage];
char* arguments[kMaxZygoteMessage / 2];
int null_device = -1;

void Answer(int32_t pid, int error_number) {
  const ZygoteReply reply = {pid, error_number};
  // Where it fails, the backend is gone, and the next recvmsg says so.
  if (send(kZygoteSocket, &reply, sizeof reply, MSG_NOSIGNAL) < 0) return;
}

void Say(const char* text) {
  if (text != nullptr && write(STDERR_FILENO, text, strlen(text)) < 0) return;
}

[[noreturn]] void Complain(const char* what) {
  const int error = errno;
  Say(what);
  Say(": ");
  Say(strerrordesc_np(error));
  Say("\n");
  _exit(1);
}

[[noreturn]] void BecomeBubblewrap(const ZygoteRequest& request, const int* attached,
                                   const int* task_files, const char* mount_point) {
  const bool control_is_stdin = request.control_is_stdin == 1;
  if (dup2(control_is_stdin ? attached[kAttachedControl] : null_device, 0) < 0 ||
      dup2(null_device, 1) < 0 || dup2(attached[kAttachedDiagnostics], 2) < 0) {
    _exit(1);
  }
  // By "tasks": a thread that moves itself need not wait until no thread anywhere is being made,
  // which takes up to 10 ms.
  for (uint32_t i = 0; i < request.task_file_count; ++i) {
    if (write(task_files[i], "0", 1) != 1) Complain("cannot enter the run's cgroup");
  }
  if (setns(attached[kAttachedNetwork], CLONE_NEWNET) != 0) Complain("cannot enter the network");
  if (unshare(CLONE_NEWNS) != 0) Complain("cannot make a mount namespace");
  if (syscall(SYS_move_mount, attached[kAttachedRoot], "", AT_FDCWD, mount_point,
              MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    Complain("cannot attach the root file system");
  }
  // bubblewrap reads the filter to its end: each sandbox needs a position in the file of its own.
  const int filter = open("/proc/self/fd/4", O_RDONLY | O_CLOEXEC);
  static_assert(kZygoteFilter == 4);
  if (filter < 0 || dup2(filter, kSandboxFilter) < 0) Complain("cannot open the seccomp filter");
  if (dup2(attached[kAttachedControl], kSandboxControl) < 0) Complain("dup2");
  if (control_is_stdin) {
    for (const int fd : {kSandboxFilter, kSandboxControl, kZygoteInit}) {
      fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
  }
  const int* data = task_files + request.task_file_count;
  for (uint32_t i = 0; i < request.data_count; ++i) {
    if (dup2(data[i], kSandboxData + static_cast<int>(i)) < 0) Complain("dup2");
  }
  char* const no_environment[] = {nullptr};
  execve(arguments[0], arguments, no_environment);
  Complain(arguments[0]);
}

// Takes the message of `size` bytes apart. False: it makes no sense.
bool Parse(size_t size, const ZygoteRequest& request, int descriptor_count) {
  if (message[size - 1] != '\0' || request.argument_count == 0 ||
      request.argument_count >= kMaxZygoteMessage / 2 || request.has_clone_group > 1 ||
      request.task_file_count > kMaxAttachedGroups || request.data_count > kMaxAttachedFiles ||
      descriptor_count != static_cast<int>(kAttachedCount + request.has_clone_group +
                                           request.task_file_count + request.data_count)) {
    return false;
  }
  char* next = message + sizeof request;
  char* const end = message + size;
  for (uint32_t i = 0; i < request.argument_count; ++i) {
    if (next >= end) return false;
    arguments[i] = next;
    next += strlen(next) + 1;
  }
  arguments[request.argument_count] = nullptr;
  return next == end;
}

void Serve(size_t size, const int* attached, int descriptor_count, const char* mount_point) {
  ZygoteRequest request;
  if (size <= sizeof request) return Answer(-1, EBADMSG);
  memcpy(&request, message, sizeof request);
  if (!Parse(size, request, descriptor_count)) return Answer(-1, EBADMSG);
  clone_args how = {};
  how.flags = CLONE_PARENT;  // a child of the backend, which waits for it
  const int* groups = attached + kAttachedCount;
  if (request.has_clone_group == 1) {
    how.flags |= CLONE_INTO_CGROUP;
    how.cgroup = static_cast<uint64_t>(*groups++);
  }
  const long child = syscall(SYS_clone3, &how, sizeof how);
  if (child == 0) BecomeBubblewrap(request, attached, groups, mount_point);
  Answer(static_cast<int32_t>(child), child < 0 ? errno : 0);
}

// False: errno says why.

// Shows the host's directory, or link to one, in the root to come, which is the current directory;
// nothing if it is not there.
bool Show(const char* path) {
  const char* target = path + 1;
  struct stat status;
  if (lstat(path, &status) != 0) return errno == ENOENT;
  if (S_ISLNK(status.st_mode)) {
    char link[256];
    const ssize_t length = readlink(path, link, sizeof link - 1);
    if (length < 0) return false;
    link[length] = '\0';
    return symlink(link, target) == 0;
  }
  return mkdir(target, 0755) == 0 && mount(path, target, nullptr, MS_BIND | MS_REC, nullptr) == 0;
}

bool RunsHere(char** programs) {
  for (char** program = programs + 1; *program != nullptr; ++program) {
    if (access(*program, X_OK) != 0) return false;
  }
  const char* bubblewrap = programs[0];
  const pid_t child = fork();
  if (child < 0) return false;
  if (child == 0) {
    dup2(null_device, 1);
    dup2(null_device, 2);
    char version[] = "--version";
    char* const command[] = {const_cast<char*>(bubblewrap), version, nullptr};
    char* const no_environment[] = {nullptr};
    execve(bubblewrap, command, no_environment);
    _exit(1);
  }
  int status = -1;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (status == 0) return true;
  errno = ENOEXEC;
  return false;
}

// A tmpfs with what bubblewrap needs becomes the root directory, and the rest of the host's files
// is out of sight.
bool EnterOwnRoot(const char* mount_point) {
  if (unshare(CLONE_NEWNS) != 0 ||
      mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("contree", mount_point, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=1m") != 0 ||
      chdir(mount_point) != 0) {
    return false;
  }
  for (const char* path : {"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/proc", "/dev"}) {
    if (!Show(path)) return false;
  }
  // bubblewrap mounts what it makes on /tmp.
  if (mkdir("tmp", 01777) != 0 || mkdir("etc", 0755) != 0 ||
      mkdir(kZygoteMountPoint + 1, 0755) != 0) {
    return false;
  }
  // Without it libraries are looked for in every directory that may hold them.
  const int cache = open("etc/ld.so.cache", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (cache >= 0) {
    close(cache);
    mount("/etc/ld.so.cache", "etc/ld.so.cache", nullptr, MS_BIND, nullptr);
  }
  // The old root comes to lie on top of the new one.
  return syscall(SYS_pivot_root, ".", ".") == 0 && umount2(".", MNT_DETACH) == 0 && chdir("/") == 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return 1;
  const char* mount_point = argv[1];
  syscall(SYS_close_range, kZygoteInit + 1U, ~0U, 0U);
  fcntl(kZygoteSocket, F_SETFD, FD_CLOEXEC);
  fcntl(kZygoteFilter, F_SETFD, FD_CLOEXEC);
  null_device = open("/dev/null", O_RDWR | O_CLOEXEC);
  bool works = null_device >= 0;
  if (works && strcmp(argv[2], "own-root") == 0) {
    works = EnterOwnRoot(mount_point) && RunsHere(argv + 3);
    mount_point = kZygoteMountPoint;
  }
  Answer(-1, works ? 0 : errno);
  if (!works) return 1;

  while (true) {
    iovec part = {message, sizeof message};
    alignas(cmsghdr) char control[CMSG_SPACE(kMaxDescriptors * sizeof(int))];
    msghdr header = {};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    const ssize_t size = recvmsg(kZygoteSocket, &header, MSG_CMSG_CLOEXEC);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return 0;             // the backend is gone
    int attached[kMaxDescriptors] = {};  // as many as Serve asks for, or it refuses
    int count = 0;
    const cmsghdr* rights = CMSG_FIRSTHDR(&header);
    if (rights != nullptr && rights->cmsg_type == SCM_RIGHTS) {
      count = static_cast<int>((rights->cmsg_len - CMSG_LEN(0)) / sizeof(int));
      memcpy(attached, CMSG_DATA(rights), static_cast<size_t>(count) * sizeof(int));
    }
    Serve(static_cast<size_t>(size), attached, count, mount_point);
    for (int i = 0; i < count; ++i) close(attached[i]);
  }
}
