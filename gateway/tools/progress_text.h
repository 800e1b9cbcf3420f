#ifndef GATEWAY_TOOLS_PROGRESS_TEXT_H_
#define GATEWAY_TOOLS_PROGRESS_TEXT_H_

// What a person who waits for an operation reads. Thread-safe.

#include <string>

#include "absl/strings/string_view.h"
#include "contree/v1/operation.pb.h"

namespace contree::gateway {

// The last line of `output` that is not blank, without control characters, cut to 200 bytes
// between two characters.
std::string NewestLine(absl::string_view output);

// One line for an event; empty for one that says nothing to a person.
std::string ProgressText(const contree::v1::OperationEvent& event);

}  // namespace contree::gateway

#endif  // GATEWAY_TOOLS_PROGRESS_TEXT_H_
