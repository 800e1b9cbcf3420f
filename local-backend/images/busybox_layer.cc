#include "local-backend/images/busybox_layer.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/files/unique_fd.h"
#include "common/status/status_macros.h"

namespace contree {
namespace {

struct Directory {
  const char* path;
  mode_t mode;
};
constexpr Directory kDirectories[] = {
    {"bin", 0755},       {"dev", 0755},           {"etc", 0755},  {"home", 0755},
    {"mnt", 0755},       {"opt", 0755},           {"proc", 0555}, {"root", 0700},
    {"run", 0755},       {"sys", 0555},           {"tmp", 01777}, {"usr", 0755},
    {"usr/local", 0755}, {"usr/local/bin", 0755}, {"var", 0755},  {"var/log", 0755},
    {"var/tmp", 01777},
};

struct Link {
  const char* path;
  const char* target;
};
constexpr Link kLinks[] = {
    {"sbin", "bin"},
    {"usr/bin", "../bin"},
    {"usr/sbin", "../bin"},
    {"var/run", "../run"},
};

struct File {
  const char* path;
  mode_t mode;
  const char* content;
};
constexpr File kFiles[] = {
    {"etc/passwd", 0644,
     "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\n"
     "nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"},
    {"etc/group", 0644, "root:x:0:\ndaemon:x:1:\ntty:x:5:\nusers:x:100:\nnogroup:x:65534:\n"},
    {"etc/shadow", 0600, "root:*:::::::\ndaemon:*:::::::\nnobody:*:::::::\n"},
    {"etc/hostname", 0644, "linuxkit\n"},
    {"etc/hosts", 0644, "127.0.0.1\tlocalhost\n::1\tlocalhost\n"},
    {"etc/resolv.conf", 0644, ""},
    {"etc/nsswitch.conf", 0644, "passwd: files\ngroup: files\nhosts: files dns\n"},
    {"etc/profile", 0644,
     "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"},
    {"etc/os-release", 0644,
     "NAME=\"BusyBox\"\nID=busybox\nPRETTY_NAME=\"BusyBox (made by contree from "
     "busybox-static)\"\n"},
};

absl::Status Errno(const std::string& what) { return absl::ErrnoToStatus(errno, what); }

absl::Status WriteFile(const std::string& path, mode_t mode, absl::string_view content) {
  const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!fd.is_open()) return Errno(absl::StrCat("cannot make ", path));
  if (write(fd.get(), content.data(), content.size()) != static_cast<ssize_t>(content.size())) {
    return Errno(absl::StrCat("cannot write ", path));
  }
  if (fchmod(fd.get(), mode) != 0) return Errno(absl::StrCat("chmod ", path));
  return absl::OkStatus();
}

absl::Status CopyProgram(const std::string& from, const std::string& to) {
  const UniqueFd source(open(from.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info;
  if (!source.is_open() || fstat(source.get(), &info) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "cannot read ", from, ", which the first image is made of: ",
        absl::ErrnoToStatus(errno, "").message(), "; install the package busybox-static"));
  }
  RETURN_IF_ERROR(WriteFile(to, 0755, ""));
  const UniqueFd target(open(to.c_str(), O_WRONLY | O_CLOEXEC));
  if (!target.is_open()) return Errno(absl::StrCat("open ", to));
  for (off_t left = info.st_size; left > 0;) {
    const ssize_t copied = sendfile(target.get(), source.get(), nullptr, static_cast<size_t>(left));
    if (copied <= 0) return Errno(absl::StrCat("cannot copy ", from, " to ", to));
    left -= copied;
  }
  return absl::OkStatus();
}

// The names that this busybox answers to.
absl::StatusOr<std::vector<std::string>> Applets(const std::string& busybox) {
  FILE* const listing = popen(absl::StrCat("exec '", busybox, "' --list").c_str(), "re");
  std::string text;
  if (listing != nullptr) {
    char buffer[4096];
    size_t got;
    while ((got = fread(buffer, 1, sizeof buffer, listing)) > 0) text.append(buffer, got);
  }
  if (listing == nullptr || pclose(listing) != 0 || text.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(busybox, " does not list its applets; install the package busybox-static"));
  }
  return absl::StrSplit(text, '\n', absl::SkipWhitespace());
}

}  // namespace

absl::Status MakeBusyboxLayer(const std::string& layer, const std::string& busybox) {
  const std::string root = absl::StrCat(layer, "/");
  if (chmod(layer.c_str(), 0755) != 0) return Errno(absl::StrCat("chmod ", layer));
  for (const Directory& directory : kDirectories) {
    const std::string path = root + directory.path;
    if (mkdir(path.c_str(), 0755) != 0 || chmod(path.c_str(), directory.mode) != 0) {
      return Errno(absl::StrCat("cannot make ", path));
    }
  }
  for (const Link& link : kLinks) {
    if (symlink(link.target, (root + link.path).c_str()) != 0) {
      return Errno(absl::StrCat("cannot make ", root, link.path));
    }
  }
  for (const File& file : kFiles) {
    RETURN_IF_ERROR(WriteFile(root + file.path, file.mode, file.content));
  }
  const std::string program = absl::StrCat(root, "bin/busybox");
  RETURN_IF_ERROR(CopyProgram(busybox, program));
  ASSIGN_OR_RETURN(const std::vector<std::string> applets, Applets(program));
  for (const std::string& applet : applets) {
    if (link(program.c_str(), absl::StrCat(root, "bin/", applet).c_str()) != 0 && errno != EEXIST) {
      return Errno(absl::StrCat("cannot link ", applet));
    }
  }
  return absl::OkStatus();
}

}  // namespace contree
