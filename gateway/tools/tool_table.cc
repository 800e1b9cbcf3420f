#include "gateway/tools/tool_table.h"

namespace contree::gateway {

// Each is defined in the file of its name.
Tool RunTool();
Tool ListImagesTool();
Tool GetImageTool();
Tool SetTagTool();
Tool ListFilesTool();
Tool ReadFileTool();
Tool ListOperationsTool();
Tool GetOperationTool();
Tool WaitOperationsTool();
Tool CancelOperationTool();

std::vector<Tool> ToolTable() {
  return {
      RunTool(),
      ListImagesTool(),
      GetImageTool(),
      SetTagTool(),
      ListFilesTool(),
      ReadFileTool(),
      ListOperationsTool(),
      GetOperationTool(),
      WaitOperationsTool(),
      CancelOperationTool(),
  };
}

}  // namespace contree::gateway
