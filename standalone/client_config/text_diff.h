#ifndef STANDALONE_CLIENT_CONFIG_TEXT_DIFF_H_
#define STANDALONE_CLIENT_CONFIG_TEXT_DIFF_H_

#include <string>

#include "absl/strings/string_view.h"

namespace contree::standalone {

// The change from one text to the other for people: its lines with "-" and "+", and two unchanged
// lines around it. Of unchanged lines, and of changed ones that name a secret, values in quotes are
// left out: a configuration may hold tokens. Empty: no change.
std::string DiffForPeople(absl::string_view before, absl::string_view after);

}  // namespace contree::standalone

#endif  // STANDALONE_CLIENT_CONFIG_TEXT_DIFF_H_
