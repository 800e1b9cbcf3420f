#include "local-backend/sandbox/isolation_probe.h"

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "local-backend/sandbox/sandbox_init_image.h"

namespace contree {

absl::Status ProbeIsolation(SandboxLauncher& launcher, const std::string& directory,
                            const std::string& empty_directory) {
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
  spec.argv = {"/probe"};
  spec.timeout = absl::Seconds(30);
  const CancelEvent never;
  const absl::StatusOr<SandboxExit> exit = launcher.Run(spec, never, {});
  if (!exit.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("commands cannot be isolated: ", exit.status().message()));
  }
  // Without its argument, the init program says so with this code.
  if (exit->exit_code != 1) {
    return absl::FailedPreconditionError(
        absl::StrCat("commands cannot be isolated: a trial command ended with exit code ",
                     exit->exit_code, " and signal ", exit->signal));
  }
  return absl::OkStatus();
}

}  // namespace contree
