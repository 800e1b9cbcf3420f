#ifndef GATEWAY_PROMPTS_PROMPT_TEXT_H_
#define GATEWAY_PROMPTS_PROMPT_TEXT_H_

// What the prompts' texts are put together from. Thread-safe.

#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/string_view.h"
#include "gateway/prompts/prompt.h"

namespace contree::gateway {

// One message of the user with this text.
PromptOutput UserText(std::string text);

// A call as the guides write it, in a line of its own: run {"command": "true", …}.
std::string CallText(absl::string_view tool, const nlohmann::ordered_json& arguments);

// What a parameter `image` takes: a UUID and "tag:NAME" stay, a bare NAME becomes "tag:NAME".
std::string ImageReference(absl::string_view image);

// The step that makes sure that an image is there: how to look for it, how to import it.
std::string EnsureImageText(absl::string_view image);

// Text of any length between lines that mark where it begins and ends.
std::string Fenced(absl::string_view text, absl::string_view language = "text");

}  // namespace contree::gateway

#endif  // GATEWAY_PROMPTS_PROMPT_TEXT_H_
