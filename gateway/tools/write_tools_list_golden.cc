// Writes gateway/tools/testdata/tools_list.golden.json from the tool table:
//   bazel run //gateway/tools:write_tools_list_golden

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "gateway/tools/tool_registry.h"
#include "gateway/tools/tool_table.h"

int main() {
  const char* workspace = std::getenv("BUILD_WORKSPACE_DIRECTORY");
  if (workspace == nullptr) {
    std::cerr << "run it with: bazel run //gateway/tools:write_tools_list_golden" << std::endl;
    return 1;
  }
  const std::string path =
      std::string(workspace) + "/gateway/tools/testdata/tools_list.golden.json";
  const contree::gateway::Services services;
  const contree::gateway::ToolRegistry tools(contree::gateway::ToolTable(), services);
  std::ofstream file(path);
  file << nlohmann::ordered_json::parse(tools.ListJson()).dump(2) << "\n";
  file.close();
  if (!file) {
    std::cerr << "cannot write " << path << std::endl;
    return 1;
  }
  std::cout << path << std::endl;
  return 0;
}
