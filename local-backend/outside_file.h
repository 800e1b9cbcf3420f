#ifndef LOCAL_BACKEND_OUTSIDE_FILE_H_
#define LOCAL_BACKEND_OUTSIDE_FILE_H_

// A file of the host that the backend reads again when it changes, although it serves from inside a
// user namespace whose ids may not open it: a child process that stays outside looks at it and
// hands its content in. Not thread-safe.

#include <string>

#include "absl/status/statusor.h"
#include "common/files/unique_fd.h"

namespace contree {

class OutsideFile {
 public:
  // Call it before the namespaces are entered, with no other thread running. The child dies with
  // the calling thread. NotFound and others: the file cannot be read now.
  static absl::StatusOr<OutsideFile> Open(const std::string& path, size_t max_bytes);

  const std::string& first_content() const { return first_content_; }

  // Waits for the next content that is different. Aborted: the child has ended, or `stop_fd`
  // became readable.
  absl::StatusOr<std::string> Next(int stop_fd);

 private:
  OutsideFile(std::string first_content, size_t max_bytes, UniqueFd pipe)
      : first_content_(std::move(first_content)), max_bytes_(max_bytes), pipe_(std::move(pipe)) {}

  std::string first_content_;
  size_t max_bytes_;
  UniqueFd pipe_;
};

}  // namespace contree

#endif  // LOCAL_BACKEND_OUTSIDE_FILE_H_
