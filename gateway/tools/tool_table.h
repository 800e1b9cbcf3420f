#ifndef GATEWAY_TOOLS_TOOL_TABLE_H_
#define GATEWAY_TOOLS_TOOL_TABLE_H_

// The one list of all tools, in the order in which clients see them. A tool that is in the list but
// nowhere else is a link error.

#include <vector>

#include "gateway/tools/tool.h"

namespace contree::gateway {

std::vector<Tool> ToolTable();

}  // namespace contree::gateway

#endif  // GATEWAY_TOOLS_TOOL_TABLE_H_
