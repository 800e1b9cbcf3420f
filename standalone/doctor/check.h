#ifndef STANDALONE_DOCTOR_CHECK_H_
#define STANDALONE_DOCTOR_CHECK_H_

#include <string>

namespace contree::standalone {

// What one look at this machine came to.
struct Check {
  enum class State {
    kOk,
    kNotNeeded,  // for what this program is set up to do
    kWarning,    // it works, but not everything or not well
    kFailed,     // it does not work
  };
  std::string name;  // "user namespaces"
  State state = State::kOk;
  std::string detail = {};  // what was found
  std::string remedy = {};  // a command that mends it, or what else to do; empty: nothing is wrong
};

}  // namespace contree::standalone

#endif  // STANDALONE_DOCTOR_CHECK_H_
