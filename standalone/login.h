#ifndef STANDALONE_LOGIN_H_
#define STANDALONE_LOGIN_H_

#include <ostream>

#include "absl/status/status.h"
#include "standalone/options.h"

namespace contree::standalone {

// `contree-mcp login`: reads a token from the terminal, unseen, or from standard input, asks the
// platform (options.url, else the default one) who it belongs to, and only then stores it as a
// profile of auth.ini, which becomes the active one. InvalidArgument: no token, or a profile's name
// that is none. Otherwise what the platform said.
absl::Status RunLogin(const Options& options, std::ostream& out);

}  // namespace contree::standalone

#endif  // STANDALONE_LOGIN_H_
