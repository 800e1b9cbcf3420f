// inspect-image: what is in an image, without running anything.

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gateway/prompts/prompt.h"
#include "gateway/prompts/prompt_text.h"

namespace contree::gateway {
namespace {

absl::StatusOr<PromptOutput> Handle(const PromptArguments& arguments, RequestContext&,
                                    const Services&) {
  const std::string image = ImageReference(arguments.at("image"));
  return UserText(absl::StrCat(
      "Tell me what is in the ConTree image ", image,
      ". Start no sandbox for it: everything below is free.\n\n1. What it is called and when it "
      "was "
      "made:\n\n",
      CallText("get_image", {{"image", image}}),
      "\n2. Where it came from: read the resource contree://image/",
      absl::StrReplaceAll(image, {{"%", "%25"}, {"/", "%2F"}}),
      "/lineage (parents with the commands that made them, root, children).\n\n"
      "3. Which system it is:\n\n",
      CallText("read_file", {{"image", image}, {"path", "/etc/os-release"}}),
      "\n4. What is in it:\n\n", CallText("list_files", {{"image", image}, {"path", "/"}}), "\n",
      CallText("list_files", {{"image", image}, {"path", "/usr/local/bin"}}), "\n",
      CallText("list_files", {{"image", image}, {"path", "/opt"}}),
      "\n   Installed packages: /var/lib/dpkg/status (Debian, Ubuntu), /lib/apk/db/installed "
      "(Alpine); "
      "grep finds names and versions in them. A path that is missing is an answer, too.\n\n"
      "Report: system and version, languages and tools with versions, what was added by hand, what "
      "the "
      "image seems to be for, and a tag for it if it has none ({scope}/{purpose}/{base}:{tag})."));
}

}  // namespace

Prompt InspectImagePrompt() {
  return {
      .name = "inspect-image",
      .title = "Inspect an image",
      .description =
          "Find out what is in an image and where it came from, without running anything.",
      .arguments = {{.name = "image", .description = "A tag or a UUID.", .required = true}},
      .handler = Handle,
  };
}

}  // namespace contree::gateway
