// run-python: a piece of Python in a sandbox.

#include "absl/strings/str_cat.h"
#include "gateway/prompts/prompt.h"
#include "gateway/prompts/prompt_text.h"

namespace contree::gateway {
namespace {

absl::StatusOr<PromptOutput> Handle(const PromptArguments& arguments, RequestContext&,
                                    const Services&) {
  const std::string& code = arguments.at("code");
  return UserText(absl::StrCat(
      "Run this Python code in a ConTree sandbox and show me what it prints:\n\n",
      Fenced(code, "python"),
      "\n1. Find an image with Python, best one that has the modules which the code imports:\n\n",
      CallText("list_images", {{"tag_prefix", "common/python"}}), "\n",
      CallText("list_images", {{"tag_prefix", "python:"}}),
      "\n   If there is none, import one:\n\n",
      CallText("import_image", {{"registry_url", "docker://docker.io/library/python:3.11-slim"},
                                {"tag", "python:3.11-slim"},
                                {"i_accept_that_anonymous_access_might_be_rate_limited", true}}),
      "\n2. Give the code to Python on its standard input, so that nothing has to be quoted:\n\n",
      CallText("run", {{"command", "python3 -"},
                       {"image", "tag:python:3.11-slim"},
                       {"stdin", code},
                       {"timeout", 60}}),
      "\n3. If `exit_code` is not 0, read `stderr`. Where a module is missing, install it with "
      "disposable false and run the code on the `result_image`.\n\n"
      "Report the output and, if it failed, why."));
}

}  // namespace

Prompt RunPythonPrompt() {
  return {
      .name = "run-python",
      .title = "Run Python code",
      .description = "Run a piece of Python in a sandbox and report what it prints.",
      .arguments = {{.name = "code", .description = "The Python code.", .required = true}},
      .handler = Handle,
  };
}

}  // namespace contree::gateway
