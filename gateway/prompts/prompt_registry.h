#ifndef GATEWAY_PROMPTS_PROMPT_REGISTRY_H_
#define GATEWAY_PROMPTS_PROMPT_REGISTRY_H_

// Prompts by name: prompts/list and prompts/get without the protocol around them.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "gateway/prompts/prompt.h"

namespace contree::gateway {

// Thread-safe.
class PromptRegistry {
 public:
  // `services` must outlive it.
  PromptRegistry(std::vector<Prompt> prompts, const Services& services);

  bool IsEmpty() const { return prompts_.empty(); }
  // {"prompts": […]}, in the order of the table; always the same.
  const std::string& ListJson() const { return list_json_; }

  // nullptr: no such prompt.
  const Prompt* Find(absl::string_view name) const;

  // `arguments` is what the client sent; null counts as left out. InvalidParams (see
  // jsonrpc/error.h): no such prompt, an argument that is missing, unknown or no string.
  absl::StatusOr<PromptOutput> Get(absl::string_view name, const nlohmann::json& arguments,
                                   RequestContext& context) const;

 private:
  const Services& services_;
  const std::vector<Prompt> prompts_;
  const std::string list_json_;
};

}  // namespace contree::gateway

#endif  // GATEWAY_PROMPTS_PROMPT_REGISTRY_H_
