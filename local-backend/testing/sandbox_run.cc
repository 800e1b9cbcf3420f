#include "local-backend/testing/sandbox_run.h"

#include <cstddef>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/files/state_directory.h"
#include "local-backend/testing/namespace_test_main.h"

namespace contree {

SandboxSpec TestShell(const std::string& script) {
  return TestSpec({TestBusyboxLayer()}, {"/bin/sh", "-c", script});
}

SandboxRun RunSandbox(SandboxLauncher& launcher, const SandboxSpec& spec, const CancelEvent& cancel,
                      const SandboxEvents& events) {
  SandboxRun run;
  SandboxEvents noting = events;
  noting.on_output = [&run, &events](OutputStream stream, absl::string_view bytes) {
    absl::StrAppend(stream == OutputStream::kStdout ? &run.out : &run.err, bytes);
    if (events.on_output) events.on_output(stream, bytes);
  };
  run.exit = launcher.Run(spec, cancel, noting);
  return run;
}

std::string FileContent(const std::string& path) {
  constexpr size_t kMaxFile = size_t{64} << 20;
  return ReadFile(path, kMaxFile).value_or("");
}

std::vector<std::string> EntryNames(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    names.push_back(entry.path().filename());
  }
  return names;
}

}  // namespace contree
