#ifndef LOCAL_BACKEND_TESTING_SANDBOX_RUN_H_
#define LOCAL_BACKEND_TESTING_SANDBOX_RUN_H_

// Runs of commands in sandboxes, whole, and what they left. For tests with namespace_test_main.

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "local-backend/sandbox/cancel_event.h"
#include "local-backend/sandbox/sandbox.h"

namespace contree {

struct SandboxRun {
  absl::StatusOr<SandboxExit> exit = absl::UnknownError("not run");
  std::string out;
  std::string err;
};

// A command of busybox's shell.
SandboxSpec TestShell(const std::string& script);

// To its end. What `events` wants to hear it hears, after it was noted here.
SandboxRun RunSandbox(SandboxLauncher& launcher, const SandboxSpec& spec,
                      const CancelEvent& cancel = CancelEvent(), const SandboxEvents& events = {});

// Of a file of 64 MiB at most; empty where there is none.
std::string FileContent(const std::string& path);

// The names in a directory, in no order.
std::vector<std::string> EntryNames(const std::string& directory);

}  // namespace contree

#endif  // LOCAL_BACKEND_TESTING_SANDBOX_RUN_H_
