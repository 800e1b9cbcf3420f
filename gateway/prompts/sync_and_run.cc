// sync-and-run: the user's files into a sandbox, and a command on them.

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
      "Bring ", arguments.at("source"), " into a ConTree sandbox and run this on it:\n\n",
      Fenced(command, "sh"), "\n1. ", EnsureImageText(image),
      "\n2. Sync the files. Only what the platform lacks is sent; leave out what is not "
      "needed:\n\n",
      CallText("rsync", {{"source", arguments.at("source")},
                         {"destination", "/app"},
                         {"exclude", {".git/", "__pycache__", "node_modules/", ".venv/"}}}),
      "\n3. Run the command with the `directory_state_id` that rsync returned:\n\n",
      CallText("run", {{"command", command},
                       {"image", ImageReference(image)},
                       {"cwd", "/app"},
                       {"directory_state_id", "ds_FROM_RSYNC"},
                       {"timeout", 300}}),
      "\nReport `exit_code` and the output. After an edit of the files, rsync again and use the "
      "new id: "
      "an id stands for the files as they were. To keep what the command makes, add "
      "\"disposable\": "
      "false; `download` copies a file of the `result_image` back."));
}

}  // namespace

Prompt SyncAndRunPrompt() {
  return {
      .name = "sync-and-run",
      .title = "Sync files and run a command",
      .description = "Bring a directory of this machine into a sandbox and run a command on it.",
      .arguments = {{.name = "source",
                     .description = "Directory or file on the machine that this server runs on.",
                     .required = true},
                    {.name = "command",
                     .description = "The command; it starts in the directory.",
                     .required = true},
                    {.name = "image",
                     .description =
                         "Image to run it on: a tag or a UUID; alpine:latest if left out.",
                     .default_value = "alpine:latest"}},
      .handler = Handle,
  };
}

}  // namespace contree::gateway
