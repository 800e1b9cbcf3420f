// build-project: a project of the user, installed and tested in a sandbox.

#include "absl/strings/str_cat.h"
#include "gateway/prompts/prompt.h"
#include "gateway/prompts/prompt_text.h"

namespace contree::gateway {
namespace {

absl::StatusOr<PromptOutput> Handle(const PromptArguments& arguments, RequestContext&,
                                    const Services&) {
  const std::string& install = arguments.at("install_cmd");
  const std::string& test = arguments.at("test_cmd");
  return UserText(absl::StrCat(
      "Install and test the project in ", arguments.at("source"),
      " in a ConTree sandbox.\n\n1. CHECK for a prepared environment, then for a base with the "
      "right "
      "language:\n\n",
      CallText("list_images", {{"tagged", true}}),
      "\n   Import a base only if there is none that fits (`get_guide` with section workflow says "
      "how).\n\n2. Sync the project:\n\n",
      CallText("rsync",
               {{"source", arguments.at("source")},
                {"destination", "/app"},
                {"exclude", {".git/", "__pycache__", "node_modules/", ".venv/", "dist/"}}}),
      "\n3. Install, keeping the result:\n\n",
      CallText("run", {{"command", install},
                       {"image", "THE BASE IMAGE"},
                       {"cwd", "/app"},
                       {"directory_state_id", "ds_FROM_RSYNC"},
                       {"disposable", false},
                       {"timeout", 900}}),
      "\n4. Test on its `result_image`, where the files are already:\n\n",
      CallText("run", {{"command", test},
                       {"image", "RESULT_IMAGE OF STEP 3"},
                       {"cwd", "/app"},
                       {"timeout", 900},
                       {"truncate_output_at", 50000}}),
      "\nIf a step fails, find the cause with `read_file`, `grep` and `list_files` before you run "
      "anything again. If only my sources have to change, tell me the change; after it only steps "
      "2 and "
      "4 are needed, with the new `directory_state_id` in step 4.\n\n"
      "Report: what was installed, tests passed and failed, each failure with its cause."));
}

}  // namespace

Prompt BuildProjectPrompt() {
  return {
      .name = "build-project",
      .title = "Build and test a project",
      .description = "Bring a project into a sandbox, install it and run its tests.",
      .arguments = {{.name = "source",
                     .description =
                         "The project's directory on the machine that this server runs on.",
                     .required = true},
                    {.name = "install_cmd",
                     .description = "How it is installed; pip install -e . if left out.",
                     .default_value = "pip install -e ."},
                    {.name = "test_cmd",
                     .description = "How it is tested; pytest if left out.",
                     .default_value = "pytest"}},
      .handler = Handle,
  };
}

}  // namespace contree::gateway
