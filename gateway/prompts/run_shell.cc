// run-shell: a shell command in a sandbox.

#include "absl/strings/str_cat.h"
#include "gateway/prompts/prompt.h"
#include "gateway/prompts/prompt_text.h"

namespace contree::gateway {
namespace {

absl::StatusOr<PromptOutput> Handle(const PromptArguments& arguments, RequestContext&,
                                    const Services&) {
  const std::string& image = arguments.at("image");
  const std::string& command = arguments.at("command");
  return UserText(absl::StrCat(
      "Run this shell command in a ConTree sandbox and show me what comes of it:\n\n",
      Fenced(command, "sh"), "\n1. ", EnsureImageText(image), "\n2. Run it:\n\n",
      CallText("run", {{"command", command}, {"image", ImageReference(image)}, {"timeout", 60}}),
      "\n   What it changes is thrown away. If the changes shall stay, add \"disposable\": false "
      "and "
      "tell me the `result_image`.\n\n"
      "Report `exit_code`, `stdout` and, if there is any, `stderr`. Exit code 127 means that the "
      "image "
      "lacks the command: install it first, with disposable false."));
}

}  // namespace

Prompt RunShellPrompt() {
  return {
      .name = "run-shell",
      .title = "Run a shell command",
      .description = "Run a shell command in a sandbox and report what comes of it.",
      .arguments = {{.name = "command", .description = "The command.", .required = true},
                    {.name = "image",
                     .description =
                         "Image to run it on: a tag or a UUID; ubuntu:noble if left out.",
                     .default_value = "ubuntu:noble"}},
      .handler = Handle,
  };
}

}  // namespace contree::gateway
