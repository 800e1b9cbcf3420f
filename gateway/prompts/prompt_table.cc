#include "gateway/prompts/prompt_table.h"

namespace contree::gateway {

// Each is defined in the file of its name.
Prompt PrepareEnvironmentPrompt();
Prompt RunPythonPrompt();
Prompt RunShellPrompt();
Prompt SyncAndRunPrompt();
Prompt InstallPackagesPrompt();
Prompt ParallelTasksPrompt();
Prompt BuildProjectPrompt();
Prompt DebugFailurePrompt();
Prompt InspectImagePrompt();
Prompt MultiStageBuildPrompt();

std::vector<Prompt> PromptTable() {
  return {
      PrepareEnvironmentPrompt(), RunPythonPrompt(),       RunShellPrompt(),
      SyncAndRunPrompt(),         InstallPackagesPrompt(), ParallelTasksPrompt(),
      BuildProjectPrompt(),       DebugFailurePrompt(),    InspectImagePrompt(),
      MultiStageBuildPrompt(),
  };
}

}  // namespace contree::gateway
