#include "gateway/tools/tool_table.h"

namespace contree::gateway {

// Each is defined in the file of its name.
Tool RunTool();
Tool ImportImageTool();
Tool ListImagesTool();
Tool GetImageTool();
Tool SetTagTool();
Tool ListFilesTool();
Tool ReadFileTool();
Tool GrepTool();
Tool RsyncTool();
Tool UploadTool();
Tool DownloadTool();
Tool ListOperationsTool();
Tool GetOperationTool();
Tool WaitOperationsTool();
Tool CancelOperationTool();
Tool RegistryTokenObtainTool();
Tool RegistryAuthTool();
Tool WhoamiTool();
Tool GetGuideTool();

std::vector<Tool> ToolTable() {
  return {
      RunTool(),          ImportImageTool(),    ListImagesTool(),      GetImageTool(),
      SetTagTool(),       ListFilesTool(),      ReadFileTool(),        GrepTool(),
      RsyncTool(),        UploadTool(),         DownloadTool(),        ListOperationsTool(),
      GetOperationTool(), WaitOperationsTool(), CancelOperationTool(), RegistryTokenObtainTool(),
      RegistryAuthTool(), WhoamiTool(),         GetGuideTool(),
  };
}

}  // namespace contree::gateway
