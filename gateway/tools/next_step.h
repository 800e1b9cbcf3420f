#ifndef GATEWAY_TOOLS_NEXT_STEP_H_
#define GATEWAY_TOOLS_NEXT_STEP_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace contree::gateway {

// An error of this code with what to do next: "there is no image X; list_images shows the images".
// `next_step` begins with a tool's name; a message that names this tool already stays as it is, and
// so does an error of another code.
absl::Status WithNextStep(const absl::Status& status, absl::StatusCode code,
                          absl::string_view next_step);

// For whatever is looked for inside an image.
absl::Status WithNextStepInImage(const absl::Status& status);

}  // namespace contree::gateway

#endif  // GATEWAY_TOOLS_NEXT_STEP_H_
