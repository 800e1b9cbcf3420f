#include "gateway/completions/completion_table.h"

namespace contree::gateway {

std::vector<Completion> CompletionTable() { return {}; }

}  // namespace contree::gateway
