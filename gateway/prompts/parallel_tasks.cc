// parallel-tasks: several commands at once, each in a sandbox of its own.

#include "absl/strings/str_cat.h"
#include "gateway/prompts/prompt.h"
#include "gateway/prompts/prompt_text.h"

namespace contree::gateway {
namespace {

absl::StatusOr<PromptOutput> Handle(const PromptArguments& arguments, RequestContext&,
                                    const Services&) {
  const std::string& image = arguments.at("image");
  return UserText(absl::StrCat(
      "Do these tasks at the same time, each in a ConTree sandbox of its own:\n\n",
      Fenced(arguments.at("tasks")), "\n1. ", EnsureImageText(image),
      "\n   If all tasks need the same preparation, do it once (disposable false) and start them "
      "from "
      "that `result_image`.\n\n2. Start each task without waiting for it, and note which "
      "`operation_id` belongs to which:\n\n",
      CallText("run", {{"command", "THE COMMAND OF ONE TASK"},
                       {"image", ImageReference(image)},
                       {"timeout", 600},
                       {"wait", false}}),
      "\n   Tasks do not see each other's files. One that needs the result of another has to start "
      "from its `result_image`, so it cannot run beside it.\n\n3. Wait for all of them at "
      "once:\n\n",
      CallText("wait_operations",
               {{"operation_ids", {"THE IDS", "OF ALL TASKS"}}, {"timeout", 900}, {"mode", "all"}}),
      "\n   What is `pending` afterwards still runs: wait for it again.\n\n"
      "Report a table: task, exit code, duration, and the line of the output that matters. For "
      "each "
      "failure say why."));
}

}  // namespace

Prompt ParallelTasksPrompt() {
  return {
      .name = "parallel-tasks",
      .title = "Run tasks in parallel",
      .description =
          "Run several tasks at once, each in a sandbox of its own, and compare results.",
      .arguments = {{.name = "tasks", .description = "The tasks, one to a line.", .required = true},
                    {.name = "image",
                     .description =
                         "Image for all of them: a tag or a UUID; ubuntu:noble if left out.",
                     .default_value = "ubuntu:noble"}},
      .handler = Handle,
  };
}

}  // namespace contree::gateway
