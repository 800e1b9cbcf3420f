#ifndef STANDALONE_DOCTOR_SURROUNDINGS_CHECKS_H_
#define STANDALONE_DOCTOR_SURROUNDINGS_CHECKS_H_

// What else contree-mcp needs around it: disk, helper programs, a platform that knows its token,
// the right time.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "standalone/doctor/check.h"
#include "standalone/options.h"
#include "standalone/platform_check.h"

namespace contree::standalone {

// Space, and the right to write, where the state is or will be.
Check CheckDisk(const std::string& state_dir);

// Versions of the programs that the backend starts.
std::vector<Check> CheckHelpers();

// Where the token comes from, and whether others can read it there.
Check CheckCredentials(const Options& options);

// Whether the platform, which `name` says, knows us. `answer` is what AskPlatform came to.
Check CheckPlatform(const std::string& name, const absl::StatusOr<PlatformAnswer>& answer);

// This machine's clock beside the platform's, if that said its time, else whether the kernel
// thinks that its clock is synchronised.
Check CheckClock(const absl::StatusOr<PlatformAnswer>& answer);

}  // namespace contree::standalone

#endif  // STANDALONE_DOCTOR_SURROUNDINGS_CHECKS_H_
