#include "gateway/tools/tool_table.h"

namespace contree::gateway {

// Each is defined in the file of its name.
Tool RunTool();
Tool ListImagesTool();
Tool GetImageTool();
Tool SetTagTool();
Tool ListFilesTool();
Tool ReadFileTool();
Tool GrepTool();
Tool UploadTool();
Tool DownloadTool();
Tool ListOperationsTool();
Tool GetOperationTool();
Tool WaitOperationsTool();
Tool CancelOperationTool();
Tool WhoamiTool();
Tool GetGuideTool();

std::vector<Tool> ToolTable() {
  return {
      RunTool(),
      ListImagesTool(),
      GetImageTool(),
      SetTagTool(),
      ListFilesTool(),
      ReadFileTool(),
      GrepTool(),
      UploadTool(),
      DownloadTool(),
      ListOperationsTool(),
      GetOperationTool(),
      WaitOperationsTool(),
      CancelOperationTool(),
      WhoamiTool(),
      GetGuideTool(),
  };
}

}  // namespace contree::gateway
