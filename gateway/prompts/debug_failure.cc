// debug-failure: why an operation did not do what it should.

#include "absl/strings/str_cat.h"
#include "gateway/prompts/prompt.h"
#include "gateway/prompts/prompt_text.h"

namespace contree::gateway {
namespace {

absl::StatusOr<PromptOutput> Handle(const PromptArguments& arguments, RequestContext&,
                                    const Services&) {
  const std::string& id = arguments.at("operation_id");
  return UserText(absl::StrCat(
      "Find out why the ConTree operation ", id,
      " failed, and what to do about it.\n\n"
      "1. Look at it:\n\n",
      CallText("get_operation", {{"operation_id", id}}),
      "\n   - `state` FAILED: the platform could not do its part, `error` says why.\n"
      "   - `timed_out` true: the command took longer than its timeout.\n"
      "   - `exit_code` 127: the command is not in the image; 126: it cannot be executed.\n"
      "   - `signal` 9 without timed_out: most likely it ran out of memory.\n"
      "   - another exit code: the program's own error; read `stderr`, then `stdout`. Where a "
      "stream "
      "is truncated, its end is missing.\n\n"
      "2. Look into the image that it ran on (`image`) and, if there is one, the image that it "
      "left "
      "(`result_image`). This is free:\n\n",
      CallText("list_files", {{"image", "THE IMAGE"}, {"path", "/"}}), "\n",
      CallText("grep", {{"image", "THE IMAGE"},
                        {"pattern", "error|fatal|not found"},
                        {"path", "/THE/PLACE/OF/THE/LOGS"},
                        {"case", "insensitive"}}),
      "\n   The resource contree://image/THE-IMAGE/lineage tells which commands made the image.\n\n"
      "3. Make one hypothesis at a time and test it with the smallest run that can prove it wrong, "
      "on "
      "the image that the operation ran on:\n\n",
      CallText("run", {{"command", "THE SMALLEST COMMAND THAT SHOWS IT"}, {"image", "THE IMAGE"}}),
      "\nReport: the cause with the evidence for it, the command that works, and the image to go "
      "on "
      "from."));
}

}  // namespace

Prompt DebugFailurePrompt() {
  return {
      .name = "debug-failure",
      .title = "Debug a failed operation",
      .description = "Find out why an operation failed, with evidence, and what works instead.",
      .arguments = {{.name = "operation_id",
                     .description = "The operation, as run or list_operations shows it.",
                     .required = true}},
      .handler = Handle,
  };
}

}  // namespace contree::gateway
