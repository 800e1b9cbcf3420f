// install-packages: an image with more packages in it.

#include "absl/strings/str_cat.h"
#include "gateway/prompts/prompt.h"
#include "gateway/prompts/prompt_text.h"

namespace contree::gateway {
namespace {

absl::StatusOr<PromptOutput> Handle(const PromptArguments& arguments, RequestContext&,
                                    const Services&) {
  const std::string& image = arguments.at("image");
  const std::string& packages = arguments.at("packages");
  return UserText(absl::StrCat(
      "Make a ConTree image with these packages, on the base of ", image, ": ", packages,
      "\n\n1. Perhaps it exists:\n\n", CallText("list_images", {{"tag_prefix", "common/"}}),
      "\n2. ", EnsureImageText(image),
      "\n3. Find out which package manager the image has (this is free):\n\n",
      CallText("grep", {{"image", ImageReference(image)},
                        {"pattern", "^ID(_LIKE)?="},
                        {"path", "/etc/os-release"}}),
      "\n   Debian and Ubuntu: `apt-get update && apt-get install -y --no-install-recommends …` "
      "with "
      "`\"env\": {\"DEBIAN_FRONTEND\": \"noninteractive\"}`. Alpine: `apk add …`. Fedora: `dnf "
      "install -y "
      "…`. Python packages: `pip install …`, JavaScript: `npm install -g …`.\n\n"
      "4. Install, keeping the changes:\n\n",
      CallText("run", {{"command", absl::StrCat("THE INSTALL COMMAND FOR ", packages)},
                       {"image", ImageReference(image)},
                       {"disposable", false},
                       {"timeout", 900}}),
      "\n   If `exit_code` is not 0, read the end of `stderr`, mend the command and run it on the "
      "same "
      "image again.\n\n5. Verify on the `result_image` that each package can be used, for instance "
      "by "
      "its `--version`.\n\n6. Name it:\n\n",
      CallText("set_tag", {{"image_uuid", "THE RESULT_IMAGE"},
                           {"tag", absl::StrCat("common/PURPOSE/", image)}}),
      "\nReport the tag and the versions."));
}

}  // namespace

Prompt InstallPackagesPrompt() {
  return {
      .name = "install-packages",
      .title = "Install packages",
      .description = "Make an image with more packages in it, verify it and tag it.",
      .arguments = {{.name = "packages", .description = "What to install.", .required = true},
                    {.name = "image",
                     .description =
                         "Image to install on: a tag or a UUID; ubuntu:noble if left out.",
                     .default_value = "ubuntu:noble"}},
      .handler = Handle,
  };
}

}  // namespace contree::gateway
