#include "gateway/prompts/prompt_text.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/uuid/uuid.h"
#include "gateway/mcp/content.h"

namespace contree::gateway {

using nlohmann::ordered_json;

PromptOutput UserText(std::string text) {
  PromptOutput output;
  output.messages.push_back({.role = PromptRole::kUser, .content = TextContent(text)});
  return output;
}

std::string CallText(absl::string_view tool, const ordered_json& arguments) {
  // dump() leaves no room between members, which is hard to read.
  std::string text = absl::StrCat("```\n", tool, " {");
  const char* separator = "";
  for (const auto& [name, value] : arguments.items()) {
    absl::StrAppend(
        &text, separator, "\"", name, "\": ",
        value.dump(-1, ' ', /*ensure_ascii=*/false, ordered_json::error_handler_t::replace));
    separator = ", ";
  }
  absl::StrAppend(&text, "}\n```\n");
  return text;
}

std::string ImageReference(absl::string_view image) {
  if (IsUuid(image) || absl::StartsWith(image, "tag:")) return std::string(image);
  return absl::StrCat("tag:", image);
}

std::string EnsureImageText(absl::string_view image) {
  const std::string reference = ImageReference(image);
  absl::string_view name = reference;
  if (!absl::ConsumePrefix(&name, "tag:")) {
    return absl::StrCat("Check that the image is there:\n\n",
                        CallText("get_image", {{"image", reference}}),
                        "\nIf it is not, stop and say so: a UUID cannot be made again.\n");
  }
  return absl::StrCat(
      "Look for the image:\n\n", CallText("list_images", {{"tag_prefix", name}}),
      "\nOnly if it is not there, import it (with credentials stored by `registry_auth`, leave the "
      "last argument out):\n\n",
      CallText("import_image", {{"registry_url", absl::StrCat("docker://", name)},
                                {"tag", name},
                                {"i_accept_that_anonymous_access_might_be_rate_limited", true}}),
      "\nIf it can be neither found nor imported, use the nearest image that `list_images` shows "
      "and "
      "say which one.\n");
}

std::string Fenced(absl::string_view text, absl::string_view language) {
  // Longer than any run of backticks in the text, so that nothing in it ends the block.
  size_t longest = 2;
  size_t run = 0;
  for (const char c : text) {
    run = c == '`' ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  const std::string fence(longest + 1, '`');
  return absl::StrCat(fence, language, "\n", text, absl::EndsWith(text, "\n") ? "" : "\n", fence,
                      "\n");
}

}  // namespace contree::gateway
