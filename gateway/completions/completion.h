#ifndef GATEWAY_COMPLETIONS_COMPLETION_H_
#define GATEWAY_COMPLETIONS_COMPLETION_H_

// What completion/complete offers for one argument of a prompt or one variable of a resource
// template. completion_table.cc lists them.

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gateway/mcp/request_context.h"
#include "gateway/mcp/services.h"

namespace contree::gateway {

struct CompletionRequest {
  std::string value;  // what is typed so far
  // What the other arguments are, as far as the client says.
  std::map<std::string, std::string> arguments;
};

// All values that begin with what is typed, best first; the client gets the first hundred and is
// told that there are more. Called by many threads at once, for every key that is pressed: cheap.
using CompletionHandler = absl::StatusOr<std::vector<std::string>> (*)(
    const CompletionRequest& request, RequestContext& context, const Services& services);

enum class CompletionReference { kPrompt, kResourceTemplate };

struct Completion {
  CompletionReference reference;
  std::string name;      // the prompt's name, or the URI template
  std::string argument;  // the argument's name, or the variable's
  CompletionHandler handler;
};

}  // namespace contree::gateway

#endif  // GATEWAY_COMPLETIONS_COMPLETION_H_
