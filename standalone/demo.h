#ifndef STANDALONE_DEMO_H_
#define STANDALONE_DEMO_H_

#include <ostream>

#include "absl/status/status.h"
#include "standalone/options.h"

namespace contree::standalone {

// A session as an agent has it, through a real MCP connection to this very program on the embedded
// backend: each step is printed with what it shows and its milliseconds, each result is checked,
// and at the end stands the tree of images. `is_watched`: `out` is a terminal, where each step
// shows already while it runs. The first result that is not as it should be ends the demo with an
// error that says which step and what came.
absl::Status RunDemo(const Options& options, std::ostream& out, bool is_watched);

}  // namespace contree::standalone

#endif  // STANDALONE_DEMO_H_
