#ifndef LOCAL_BACKEND_SANDBOX_ZYGOTE_IMAGE_H_
#define LOCAL_BACKEND_SANDBOX_ZYGOTE_IMAGE_H_

// The program zygote_program, which is carried inside this one. Thread-safe.

#include "absl/status/statusor.h"
#include "common/files/unique_fd.h"

namespace contree {

absl::StatusOr<UniqueFd> MakeZygoteFile();

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_ZYGOTE_IMAGE_H_
