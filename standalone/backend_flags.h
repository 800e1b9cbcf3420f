#ifndef STANDALONE_BACKEND_FLAGS_H_
#define STANDALONE_BACKEND_FLAGS_H_

#include <string>
#include <vector>

#include "standalone/options.h"

namespace contree::standalone {

// What the embedded backend is told on its command line beside its state directory and
// --isolation: registries, of which it reads the blobs, and the parts of a virtual machine. A
// contree-mcp takes the same flags.
std::vector<std::string> BackendFlags(const Options& options);

}  // namespace contree::standalone

#endif  // STANDALONE_BACKEND_FLAGS_H_
