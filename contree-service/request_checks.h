#ifndef CONTREE_SERVICE_REQUEST_CHECKS_H_
#define CONTREE_SERVICE_REQUEST_CHECKS_H_

// What a request must satisfy before the platform hears of it. Each returns InvalidArgument with
// the field's name, its value and what is allowed.

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "contree/v1/contree_service.pb.h"

namespace contree {

absl::Status CheckPage(int limit, int offset);

// An ISO 8601 time, or an age such as "15m", "2h", "3d", "1w" or "90" (seconds); empty: no bound.
// Returns it as the API takes it.
absl::StatusOr<std::string> CheckTimeBound(absl::string_view field, absl::string_view value);

// An absolute path inside an image; empty reads as "/".
absl::StatusOr<std::string> CheckPath(absl::string_view path);

absl::Status CheckRunInstance(const v1::RunInstanceRequest& request);

absl::Status CheckImportImage(const v1::ImportImageRequest& request);

absl::Status CheckGrep(const v1::GrepRequest& request);

// 64 lower-case hexadecimal digits.
absl::Status CheckSha256(absl::string_view sha256);

// NotFound: what is no UUID names no operation.
absl::Status CheckOperationId(absl::string_view id);

}  // namespace contree

#endif  // CONTREE_SERVICE_REQUEST_CHECKS_H_
