#include "gateway/guides/guide_table.h"

#include "gateway/guides/guide_texts.h"

namespace contree::gateway {

const std::vector<Guide>& GuideTable() {
  static const auto& guides = *new std::vector<Guide>{
      {"workflow", "Workflow",
       "How every task goes: CHECK, PREPARE, EXECUTE, and which call is next.",
       guide_texts::workflow_md},
      {"reference", "Reference", "Every tool with its parameters and results, resources, prompts.",
       guide_texts::reference_md},
      {"quickstart", "Quickstart", "The first calls: run, keep a change, move files, branch.",
       guide_texts::quickstart_md},
      {"state", "State",
       "Images, result images, branches, going back, and what does not survive a run.",
       guide_texts::state_md},
      {"async", "Async", "Several operations at once: start, wait for all or the first, timeouts.",
       guide_texts::async_md},
      {"tagging", "Tagging", "The convention for tags, and how to set, move, find and use them.",
       guide_texts::tagging_md},
      {"errors", "Errors", "Who failed, what exit codes and errors mean, and the next step.",
       guide_texts::errors_md},
  };
  return guides;
}

const Guide* FindGuide(absl::string_view section) {
  for (const Guide& guide : GuideTable()) {
    if (guide.section == section) return &guide;
  }
  return nullptr;
}

}  // namespace contree::gateway
