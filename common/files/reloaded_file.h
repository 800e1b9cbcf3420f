#ifndef COMMON_FILES_RELOADED_FILE_H_
#define COMMON_FILES_RELOADED_FILE_H_

// A small file that is read again when it changes: keys, limits, a mounted secret. It is looked at
// twice a second, whole: files on volumes of a cluster are links that are exchanged, which no
// watching tells of.

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace contree {

class ReloadedFile {
 public:
  // Gets the content; an error says why it cannot be used. Called by one thread at a time.
  using Take = std::function<absl::Status(const std::string& content)>;

  // Hands the content to `take` at once, and each different one later, on a thread of its own. A
  // later content that cannot be read or used is logged, and what was before holds. What `take`
  // uses must outlive this. NotFound and others: it cannot be read now. ResourceExhausted: larger
  // than max_bytes. Otherwise what `take` says, with the file's name.
  static absl::StatusOr<std::unique_ptr<ReloadedFile>> Open(const std::string& path,
                                                            size_t max_bytes, Take take);
  ReloadedFile(const ReloadedFile&) = delete;
  ReloadedFile& operator=(const ReloadedFile&) = delete;

 private:
  ReloadedFile() = default;

  std::jthread thread_;
};

}  // namespace contree

#endif  // COMMON_FILES_RELOADED_FILE_H_
