#ifndef SYNC_SERVICE_SYNC_CHECKS_H_
#define SYNC_SERVICE_SYNC_CHECKS_H_

// What the messages of a sync may say. All errors are InvalidArgument and name what is wrong.

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "contree/sync/v1/sync_service.pb.h"

namespace contree {

absl::Status CheckBegin(const sync::v1::SyncBegin& begin);

// A directory's path below its source: "" or names with one slash between them.
absl::Status CheckDirectoryPath(absl::string_view path);

// "ds_" and 32 hexadecimal digits. NotFound, as a state that was never made.
absl::Status CheckDirectoryStateId(absl::string_view id);

}  // namespace contree

#endif  // SYNC_SERVICE_SYNC_CHECKS_H_
