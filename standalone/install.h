#ifndef STANDALONE_INSTALL_H_
#define STANDALONE_INSTALL_H_

#include <ostream>

#include "absl/status/status.h"
#include "standalone/options.h"

namespace contree::standalone {

// `contree-mcp install` and `uninstall`: shows what changes in the configuration of options.client,
// asks unless options.yes, and writes it (client_config/). What is right already is not written
// again. FailedPrecondition: the configuration cannot be changed, or nobody is there to be asked.
// InvalidArgument: it is broken; the message says where. Cancelled: the answer was no.
absl::Status RunInstall(const Options& options, std::ostream& out);
absl::Status RunUninstall(const Options& options, std::ostream& out);

}  // namespace contree::standalone

#endif  // STANDALONE_INSTALL_H_
