#ifndef COMMON_REGISTRY_CHALLENGE_H_
#define COMMON_REGISTRY_CHALLENGE_H_

// WWW-Authenticate (RFC 9110, 11.6.1): what a server wants before it lets somebody in. Thread-safe.

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace contree {

struct Challenge {
  std::string scheme;                             // lower case: "bearer", "basic"
  std::map<std::string, std::string> parameters;  // names in lower case, values unquoted
};

// The challenges of one header value, in order; there may be several in one. What cannot be
// understood ends the reading: what came before it counts.
std::vector<Challenge> ParseChallenges(absl::string_view header);

}  // namespace contree

#endif  // COMMON_REGISTRY_CHALLENGE_H_
