#include "local-backend/sandbox/isolation_probe.h"

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "local-backend/sandbox/sandbox_init_image.h"

namespace contree {
namespace {

struct Trial {
  SandboxExit exit;
  std::string out;
};

absl::StatusOr<Trial> TryOut(SandboxLauncher& launcher, const std::string& directory,
                             const std::string& empty_directory, std::vector<std::string> argv) {
  const std::string place = absl::StrCat(directory, "/probe");
  const absl::Cleanup remove = [&place] {
    std::error_code ignored;
    std::filesystem::remove_all(place, ignored);
  };
  std::error_code error;
  std::filesystem::remove_all(place, error);
  const std::string image = absl::StrCat(place, "/image");
  const std::string program = absl::StrCat(image, "/probe");
  for (const std::string& path :
       {place, image, absl::StrCat(image, "/proc"), absl::StrCat(image, "/dev"),
        absl::StrCat(place, "/upper"), absl::StrCat(place, "/work")}) {
    if (mkdir(path.c_str(), 0755) != 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot make the directory ", path));
    }
  }
  const absl::string_view bytes = SandboxInitBytes();
  std::ofstream file(program, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file || chmod(program.c_str(), 0755) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", program));
  }
  SandboxSpec spec;
  spec.root = {.layers = {image},
               .upper = absl::StrCat(place, "/upper"),
               .work = absl::StrCat(place, "/work"),
               .empty_directory = empty_directory};
  spec.hostname = "probe";
  spec.argv = std::move(argv);
  spec.timeout = absl::Seconds(30);
  const CancelEvent never;
  std::string out;
  const absl::StatusOr<SandboxExit> exit =
      launcher.Run(spec, never, {.on_output = [&out](OutputStream stream, absl::string_view bytes) {
                     if (stream == OutputStream::kStdout) absl::StrAppend(&out, bytes);
                   }});
  if (!exit.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("commands cannot be isolated: ", exit.status().message()));
  }
  return Trial{.exit = *exit, .out = std::move(out)};
}

absl::Status EndedWrongly(const SandboxExit& exit) {
  return absl::FailedPreconditionError(
      absl::StrCat("commands cannot be isolated: a trial command ended with exit code ",
                   exit.exit_code, " and signal ", exit.signal));
}

}  // namespace

absl::Status ProbeIsolation(SandboxLauncher& launcher, const std::string& directory,
                            const std::string& empty_directory) {
  ASSIGN_OR_RETURN(const Trial trial, TryOut(launcher, directory, empty_directory, {"/probe"}));
  // Without its argument, the init program says so with this code.
  return trial.exit.exit_code == 1 ? absl::OkStatus() : EndedWrongly(trial.exit);
}

absl::Status ProbeGvisor(SandboxLauncher& launcher, const std::string& directory,
                         const std::string& empty_directory) {
  ASSIGN_OR_RETURN(const Trial trial,
                   TryOut(launcher, directory, empty_directory, {"/probe", "--kernel-log"}));
  if (trial.exit.exit_code != 0) return EndedWrongly(trial.exit);
  if (!absl::StrContains(trial.out, "Starting gVisor")) {
    return absl::FailedPreconditionError(absl::StrCat(
        "commands cannot be isolated: the kernel that a trial command saw is not gVisor's; it "
        "says \"",
        absl::CHexEscape(absl::string_view(trial.out).substr(0, 200)), "\""));
  }
  return absl::OkStatus();
}

absl::Status ProbeMicrovm(SandboxLauncher& launcher, const std::string& directory,
                          const std::string& empty_directory, const std::string& mark) {
  ASSIGN_OR_RETURN(const Trial trial, TryOut(launcher, directory, empty_directory,
                                             {"/probe", "--kernel-command-line"}));
  if (trial.exit.exit_code != 0) return EndedWrongly(trial.exit);
  if (!absl::StrContains(trial.out, absl::StrCat("contree.mark=", mark))) {
    return absl::FailedPreconditionError(absl::StrCat(
        "commands cannot be isolated: the kernel that a trial command saw is not that of its "
        "virtual machine; it was started with \"",
        absl::CHexEscape(absl::string_view(trial.out).substr(0, 200)), "\""));
  }
  return absl::OkStatus();
}

}  // namespace contree
