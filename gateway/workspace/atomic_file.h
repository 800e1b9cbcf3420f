#ifndef GATEWAY_WORKSPACE_ATOMIC_FILE_H_
#define GATEWAY_WORKSPACE_ATOMIC_FILE_H_

// A file of the host that appears whole or not at all: it is written beside its destination and
// renamed into place.
//
// Used by one thread. FailedPrecondition: what the system refused (no room, no permission); the
// message names the destination and says what to do.

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "gateway/workspace/workspace.h"

namespace contree::gateway {

class AtomicFile {
 public:
  // `mode`: permission bits, less the umask.
  static absl::StatusOr<std::unique_ptr<AtomicFile>> Create(HostDestination destination,
                                                            mode_t mode);
  ~AtomicFile();  // leaves nothing behind unless committed
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  absl::Status Write(absl::string_view bytes);

  // Brings it to the disk and puts it in the place of what was there. Once, and last.
  absl::Status Commit();

  int64_t size() const { return size_; }
  const std::string& path() const { return destination_.path; }

 private:
  AtomicFile(HostDestination destination, std::string temporary_name, UniqueFd fd);

  absl::Status SystemError(absl::string_view what, int error) const;

  const HostDestination destination_;
  std::string temporary_name_;  // empty once it is in place
  UniqueFd fd_;
  int64_t size_ = 0;
};

}  // namespace contree::gateway

#endif  // GATEWAY_WORKSPACE_ATOMIC_FILE_H_
