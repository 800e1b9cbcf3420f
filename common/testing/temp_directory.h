#ifndef COMMON_TESTING_TEMP_DIRECTORY_H_
#define COMMON_TESTING_TEMP_DIRECTORY_H_

// A directory of a test's own under /tmp, removed with all in it at the end. (TEST_TMPDIR is too
// long for the path of a unix socket.)

#include <string>

namespace contree {

class TempDirectory {
 public:
  TempDirectory();
  ~TempDirectory();
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;

  const std::string& path() const { return path_; }
  // path() + "/" + name
  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace contree

#endif  // COMMON_TESTING_TEMP_DIRECTORY_H_
