#include "gateway/completions/completion_table.h"

namespace contree::gateway {

// Each is defined in the file of its subject.
using Values = absl::StatusOr<std::vector<std::string>>;
Values CompleteGuideSection(const CompletionRequest&, RequestContext&, const Services&);
Values CompleteImage(const CompletionRequest&, RequestContext&, const Services&);
Values CompleteAnyOperation(const CompletionRequest&, RequestContext&, const Services&);
Values CompleteInstance(const CompletionRequest&, RequestContext&, const Services&);
Values CompleteImport(const CompletionRequest&, RequestContext&, const Services&);

std::vector<Completion> CompletionTable() {
  constexpr auto kPrompt = CompletionReference::kPrompt;
  constexpr auto kTemplate = CompletionReference::kResourceTemplate;
  return {
      {kTemplate, "contree://guide/{section}", "section", CompleteGuideSection},
      {kTemplate, "contree://image/{image}/read/{path}", "image", CompleteImage},
      {kTemplate, "contree://image/{image}/ls/{path}", "image", CompleteImage},
      {kTemplate, "contree://image/{image}/lineage", "image", CompleteImage},
      {kTemplate, "contree://operations/instance/{operation_id}", "operation_id", CompleteInstance},
      {kTemplate, "contree://operations/import/{operation_id}", "operation_id", CompleteImport},
      {kPrompt, "prepare-environment", "base", CompleteImage},
      {kPrompt, "run-shell", "image", CompleteImage},
      {kPrompt, "sync-and-run", "image", CompleteImage},
      {kPrompt, "install-packages", "image", CompleteImage},
      {kPrompt, "parallel-tasks", "image", CompleteImage},
      {kPrompt, "inspect-image", "image", CompleteImage},
      {kPrompt, "debug-failure", "operation_id", CompleteAnyOperation},
  };
}

}  // namespace contree::gateway
