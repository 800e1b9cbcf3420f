#ifndef GATEWAY_COMPLETIONS_COMPLETION_TABLE_H_
#define GATEWAY_COMPLETIONS_COMPLETION_TABLE_H_

// The one list of what can be completed.

#include <vector>

#include "gateway/completions/completion.h"

namespace contree::gateway {

std::vector<Completion> CompletionTable();

}  // namespace contree::gateway

#endif  // GATEWAY_COMPLETIONS_COMPLETION_TABLE_H_
