#ifndef GATEWAY_COMPLETIONS_COMPLETION_REGISTRY_H_
#define GATEWAY_COMPLETIONS_COMPLETION_REGISTRY_H_

// Completions by what they complete: completion/complete without the protocol around it.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gateway/completions/completion.h"
#include "gateway/prompts/prompt_registry.h"
#include "gateway/resources/resource_registry.h"

namespace contree::gateway {

// Thread-safe.
class CompletionRegistry {
 public:
  // The registries say which references exist. All must outlive it.
  CompletionRegistry(std::vector<Completion> completions, const PromptRegistry& prompts,
                     const ResourceRegistry& resources, const Services& services);

  bool IsEmpty() const { return completions_.empty(); }

  // {"completion": {…}}. What exists and has no completion gets no values. InvalidParams (see
  // jsonrpc/error.h): `params` are malformed, or name a prompt or template that does not exist.
  absl::StatusOr<std::string> Complete(const nlohmann::json& params, RequestContext& context) const;

 private:
  const PromptRegistry& prompts_;
  const ResourceRegistry& resources_;
  const Services& services_;
  const std::vector<Completion> completions_;
};

}  // namespace contree::gateway

#endif  // GATEWAY_COMPLETIONS_COMPLETION_REGISTRY_H_
