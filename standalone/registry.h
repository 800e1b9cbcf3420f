#ifndef STANDALONE_REGISTRY_H_
#define STANDALONE_REGISTRY_H_

#include <ostream>

#include "absl/status/status.h"
#include "standalone/options.h"

namespace contree::standalone {

// `contree-mcp registry list|add|remove`: the registry credentials of this desk, for a person.
// `add` says where a token is made, reads it from the terminal, unseen, or from standard input,
// tries it at the registry and only then stores it: no agent sees it. `remove` forgets what was
// stored here; what Docker keeps is Docker's. InvalidArgument: no registry was named where one is
// needed, or it is none. NotFound: there is nothing to remove. Otherwise what auth-service says.
absl::Status RunRegistry(const Options& options, std::ostream& out);

}  // namespace contree::standalone

#endif  // STANDALONE_REGISTRY_H_
