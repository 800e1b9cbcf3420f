#ifndef LOCAL_BACKEND_API_PROJECT_KEYS_H_
#define LOCAL_BACKEND_API_PROJECT_KEYS_H_

// Which Bearer token reaches which projects, from a text of lines
//
//   SHA-256-OF-THE-TOKEN PROJECT [PROJECT…]
//
// with 64 lower-case hexadecimal digits, and comments from # on. The first project is the one of
// requests that name none. The text may be replaced while requests are served. Thread-safe.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"

namespace contree {

class ProjectKeys {
 public:
  struct Access {
    std::string token_uuid;  // names the token, says nothing of it
    std::string project;
  };

  // Replaces all. InvalidArgument: names the line; what was before stays.
  absl::Status Load(absl::string_view text);

  // What a request with this token may reach; `project` is what it asks for, "" where it does not.
  // Unauthenticated: the token is none of these. PermissionDenied: it does not reach the project,
  // which may exist or not.
  absl::StatusOr<Access> Find(absl::string_view token, absl::string_view project) const;

 private:
  using Projects = std::map<std::string, std::vector<std::string>>;  // by the hash of the token

  mutable absl::Mutex mutex_;
  std::shared_ptr<const Projects> projects_ ABSL_GUARDED_BY(mutex_) =
      std::make_shared<const Projects>();
};

}  // namespace contree

#endif  // LOCAL_BACKEND_API_PROJECT_KEYS_H_
