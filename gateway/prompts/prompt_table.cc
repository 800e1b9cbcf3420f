#include "gateway/prompts/prompt_table.h"

namespace contree::gateway {

std::vector<Prompt> PromptTable() { return {}; }

}  // namespace contree::gateway
