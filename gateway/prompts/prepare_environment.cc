// prepare-environment: an image with what a task needs, found or made.

#include "absl/strings/str_cat.h"
#include "gateway/prompts/prompt.h"
#include "gateway/prompts/prompt_text.h"

namespace contree::gateway {
namespace {

absl::StatusOr<PromptOutput> Handle(const PromptArguments& arguments, RequestContext&,
                                    const Services&) {
  const std::string& base = arguments.at("base");
  const auto project = arguments.find("project");
  const auto packages = arguments.find("packages");
  const std::string scope = project == arguments.end() ? "common" : project->second;
  std::string text = absl::StrCat("Prepare a ConTree environment for this task:\n\n",
                                  Fenced(arguments.at("task")), "\n");
  if (packages != arguments.end()) {
    absl::StrAppend(&text, "It needs these packages: ", packages->second, "\n\n");
  }
  absl::StrAppend(
      &text, "Prepare it once, so that this and later sessions find it.\n\n## 1. CHECK\n\n",
      CallText("list_images", {{"tag_prefix", absl::StrCat(scope, "/")}}),
      scope == "common" ? ""
                        : absl::StrCat("\n", CallText("list_images", {{"tag_prefix", "common/"}})),
      "\nIf an image with the right purpose and everything that is needed is there, use its tag, "
      "tell "
      "me which, and stop here.\n\n## 2. PREPARE\n\nBase image: ",
      base, ". ", EnsureImageText(base), "\nThen install ",
      packages == arguments.end() ? "what the task needs" : packages->second,
      ", one step per run, each on the `result_image` of the one before. Changes are kept only "
      "with "
      "disposable false, and installs take longer than the default timeout:\n\n",
      CallText("run", {{"command", "THE INSTALL COMMAND"},
                       {"image", ImageReference(base)},
                       {"disposable", false},
                       {"timeout", 600}}),
      "\nAfter each run look at `exit_code`. If one fails, mend the command and run it on the "
      "image "
      "before it. Verify the result with a run that uses what was installed.\n\n## 3. Name it\n\n"
      "Choose a short PURPOSE in lower-case letters, digits and hyphens:\n\n",
      CallText("set_tag", {{"image_uuid", "THE LAST RESULT_IMAGE"},
                           {"tag", absl::StrCat(scope, "/PURPOSE/", base)}}),
      "\nTell me the tag, what is installed with versions, and anything that did not work.");
  return UserText(std::move(text));
}

}  // namespace

Prompt PrepareEnvironmentPrompt() {
  return {
      .name = "prepare-environment",
      .title = "Prepare an environment",
      .description = "Find or make an image with everything that a task needs, and tag it.",
      .arguments = {{.name = "task",
                     .description = "What the environment is for.",
                     .required = true},
                    {.name = "base",
                     .description = "Image to start from; python:3.11-slim if left out.",
                     .default_value = "python:3.11-slim"},
                    {.name = "project",
                     .description = "First part of the tag; left out: common, of use everywhere."},
                    {.name = "packages", .description = "What to install, if it is known."}},
      .handler = Handle,
  };
}

}  // namespace contree::gateway
