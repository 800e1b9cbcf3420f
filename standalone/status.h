#ifndef STANDALONE_STATUS_H_
#define STANDALONE_STATUS_H_

#include <ostream>

#include "absl/status/status.h"
#include "standalone/options.h"

namespace contree::standalone {

// `contree-mcp status`: which platform or installation would be used and what runs there, whether
// the embedded backend of the state directory runs and what it does, where data lies and how large
// it is; for programs with options.json. Starts nothing. What cannot be found out is said, not an
// error.
absl::Status RunStatus(const Options& options, std::ostream& out);

}  // namespace contree::standalone

#endif  // STANDALONE_STATUS_H_
