#include "gateway/tools/next_step.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace contree::gateway {

absl::Status WithNextStep(const absl::Status& status, absl::StatusCode code,
                          absl::string_view next_step) {
  const absl::string_view tool = next_step.substr(0, next_step.find(' '));
  if (status.code() != code || absl::StrContains(status.message(), tool)) return status;
  return absl::Status(code, absl::StrCat(status.message(), "; ", next_step));
}

absl::Status WithNextStepInImage(const absl::Status& status) {
  // An image that is missing says so, with a step of its own.
  if (absl::StrContains(status.message(), "list_images")) return status;
  return WithNextStep(
      status, absl::StatusCode::kNotFound,
      "list_files shows what a directory of an image holds, list_images the images");
}

}  // namespace contree::gateway
