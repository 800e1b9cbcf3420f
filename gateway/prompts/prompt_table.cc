#include "gateway/prompts/prompt_table.h"

namespace contree::gateway {

// Each is defined in the file of its name.
Prompt PrepareEnvironmentPrompt();
Prompt RunPythonPrompt();
Prompt RunShellPrompt();
Prompt InstallPackagesPrompt();
Prompt ParallelTasksPrompt();
Prompt DebugFailurePrompt();
Prompt InspectImagePrompt();

std::vector<Prompt> PromptTable() {
  return {
      PrepareEnvironmentPrompt(), RunPythonPrompt(),     RunShellPrompt(),
      InstallPackagesPrompt(),    ParallelTasksPrompt(), DebugFailurePrompt(),
      InspectImagePrompt(),
  };
}

}  // namespace contree::gateway
