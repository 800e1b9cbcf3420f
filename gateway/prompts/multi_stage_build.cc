// multi-stage-build: install, build and test as separate images, so that each can be repeated.

#include "absl/strings/str_cat.h"
#include "gateway/prompts/prompt.h"
#include "gateway/prompts/prompt_text.h"

namespace contree::gateway {
namespace {

absl::StatusOr<PromptOutput> Handle(const PromptArguments& arguments, RequestContext&,
                                    const Services&) {
  const auto stage = [](const std::string& command, const char* image, bool keep) {
    nlohmann::ordered_json call = {{"command", command}, {"image", image}, {"cwd", "/app"}};
    if (keep) call["disposable"] = false;
    call["timeout"] = 900;
    return CallText("run", call);
  };
  return UserText(absl::StrCat(
      "Build the project in ", arguments.at("source"),
      " in stages, each on the image of the one before, so that a stage that fails can be repeated "
      "without the ones before it.\n\n## Base\n\nCHECK for an image with the tools that the build "
      "needs:\n\n",
      CallText("list_images", {{"tagged", true}}), "\n## Stage 1: sources and dependencies\n\n",
      CallText("rsync",
               {{"source", arguments.at("source")},
                {"destination", "/app"},
                {"exclude", {".git/", "__pycache__", "node_modules/", ".venv/", "dist/"}}}),
      "\n",
      CallText("run", {{"command", arguments.at("install_cmd")},
                       {"image", "THE BASE IMAGE"},
                       {"cwd", "/app"},
                       {"directory_state_id", "ds_FROM_RSYNC"},
                       {"disposable", false},
                       {"timeout", 900}}),
      "\n## Stage 2: build\n\n", stage(arguments.at("build_cmd"), "RESULT_IMAGE OF STAGE 1", true),
      "\n## Stage 3: test\n\n", stage(arguments.at("test_cmd"), "RESULT_IMAGE OF STAGE 2", false),
      "\nAfter each stage: exit code 0 → go on; anything else → read `stderr`, mend that stage, "
      "repeat "
      "it on the same image. Keep the three image UUIDs.\n\n## Result\n\nFind what was built with "
      "`list_files` and copy it to my machine, if I asked for it:\n\n",
      CallText("download", {{"image", "RESULT_IMAGE OF STAGE 2"},
                            {"path", "/app/dist/THE FILE"},
                            {"destination", "WHERE I WANT IT"}}),
      "\nTag the image of stage 1 if the dependencies will be needed again. Report each stage with "
      "its "
      "image, exit code and duration, the built files with sizes, and the tests."));
}

}  // namespace

Prompt MultiStageBuildPrompt() {
  return {
      .name = "multi-stage-build",
      .title = "Build in stages",
      .description = "Install, build and test a project in stages that can be repeated one by one.",
      .arguments = {{.name = "source",
                     .description =
                         "The project's directory on the machine that this server runs on.",
                     .required = true},
                    {.name = "install_cmd",
                     .description = "How its dependencies are installed.",
                     .required = true},
                    {.name = "build_cmd",
                     .description = "How it is built; python -m build if left out.",
                     .default_value = "python -m build"},
                    {.name = "test_cmd",
                     .description = "How it is tested; pytest if left out.",
                     .default_value = "pytest"}},
      .handler = Handle,
  };
}

}  // namespace contree::gateway
