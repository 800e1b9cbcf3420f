#include "local-backend/testing/tree_description.h"

#include <fcntl.h>
#include <linux/limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <map>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "common/files/sha256.h"
#include "common/files/unique_fd.h"
#include "gtest/gtest.h"
#include "local-backend/images/tree_walk.h"

namespace contree {
namespace {

std::string Digest(int directory, const char* name) {
  const UniqueFd file(openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  EXPECT_TRUE(file.is_open()) << name;
  Sha256 digest;
  char bytes[65536];
  ssize_t got;
  while ((got = read(file.get(), bytes, sizeof bytes)) > 0) {
    digest.Update({bytes, static_cast<size_t>(got)});
  }
  return digest.FinishHex();
}

std::string Attributes(int directory, const char* name) {
  const std::string path = absl::StrCat("/proc/self/fd/", directory, "/", name);
  std::string names(XATTR_LIST_MAX, '\0');
  const ssize_t size = llistxattr(path.c_str(), names.data(), names.size());
  names.resize(size < 0 ? 0 : static_cast<size_t>(size));
  std::map<std::string, std::string> attributes;
  for (const std::string& key :
       std::vector<std::string>(absl::StrSplit(names, '\0', absl::SkipEmpty()))) {
    std::string value(XATTR_SIZE_MAX, '\0');
    const ssize_t length = lgetxattr(path.c_str(), key.c_str(), value.data(), value.size());
    value.resize(length < 0 ? 0 : static_cast<size_t>(length));
    attributes[key] = absl::BytesToHexString(value);
  }
  std::string text;
  for (const auto& [key, value] : attributes) absl::StrAppend(&text, " ", key, "=", value);
  return text;
}

class Description {
 public:
  void Add(const std::string& path, int directory, const char* name, const struct stat& info) {
    absl::StrAppendFormat(&text_, "%s %o %u:%u", absl::CHexEscape(path), info.st_mode, info.st_uid,
                          info.st_gid);
    absl::StrAppend(&text_, " ", info.st_mtim.tv_sec, ".", info.st_mtim.tv_nsec);
    if (S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode)) {
      absl::StrAppend(&text_, " ", major(info.st_rdev), ",", minor(info.st_rdev));
    }
    if (S_ISLNK(info.st_mode)) {
      char target[PATH_MAX];
      const ssize_t size = readlinkat(directory, name, target, sizeof target);
      EXPECT_GT(size, 0) << path;
      absl::StrAppend(&text_, " -> ", absl::CHexEscape(std::string(target, size)));
    }
    // The number of names is no help: what lies in two layers counts for both.
    if (!S_ISDIR(info.st_mode)) {
      const auto [first, is_new] = first_names_.try_emplace({info.st_dev, info.st_ino}, path);
      if (!is_new) absl::StrAppend(&text_, " same as ", absl::CHexEscape(first->second));
      if (is_new && S_ISREG(info.st_mode)) {
        absl::StrAppend(&text_, " ", info.st_size, " ", Digest(directory, name));
      }
    }
    absl::StrAppend(&text_, Attributes(directory, name), "\n");
  }

  std::string text_;

 private:
  std::map<std::pair<dev_t, ino_t>, std::string> first_names_;
};

}  // namespace

std::string DescribeTree(int directory) {
  Description description;
  struct stat root;
  EXPECT_EQ(fstat(directory, &root), 0);
  description.Add("/", directory, ".", root);
  const absl::Status walked =
      WalkTree(directory, "", [&](const WalkEntry& entry) -> absl::StatusOr<WalkStep> {
        description.Add(entry.path, entry.directory, entry.name, entry.info);
        return WalkStep::kContinue;
      });
  EXPECT_TRUE(walked.ok()) << walked;
  return description.text_;
}

}  // namespace contree
