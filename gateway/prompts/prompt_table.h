#ifndef GATEWAY_PROMPTS_PROMPT_TABLE_H_
#define GATEWAY_PROMPTS_PROMPT_TABLE_H_

// The one list of all prompts, in the order in which clients see them.

#include <vector>

#include "gateway/prompts/prompt.h"

namespace contree::gateway {

std::vector<Prompt> PromptTable();

}  // namespace contree::gateway

#endif  // GATEWAY_PROMPTS_PROMPT_TABLE_H_
