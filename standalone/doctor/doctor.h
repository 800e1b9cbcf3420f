#ifndef STANDALONE_DOCTOR_DOCTOR_H_
#define STANDALONE_DOCTOR_DOCTOR_H_

#include <ostream>
#include <vector>

#include "standalone/doctor/check.h"
#include "standalone/options.h"

namespace contree::standalone {

// `contree-mcp doctor`: looks at everything that contree-mcp needs as it is set up, and says what
// is wrong and what mends it; with options.remote at the way there. JSON with options.json. Starts
// the embedded backend if that is what would be used. Returns the exit code: 0 unless a check
// failed. Call it while the process has one thread.
int RunDoctor(const Options& options, std::ostream& out);

// What it prints.
void PrintChecks(const std::vector<Check>& checks, std::ostream& out);
void PrintChecksAsJson(const std::vector<Check>& checks, std::ostream& out);

}  // namespace contree::standalone

#endif  // STANDALONE_DOCTOR_DOCTOR_H_
