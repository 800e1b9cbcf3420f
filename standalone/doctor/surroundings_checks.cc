#include "standalone/doctor/surroundings_checks.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "standalone/doctor/program_run.h"

namespace contree::standalone {
namespace {

using State = Check::State;

constexpr uint64_t kMiB = 1024 * 1024;
constexpr uint64_t kTooLittle = 200 * kMiB;
constexpr uint64_t kLittle = 2048 * kMiB;
constexpr absl::Duration kVersionTimeout = absl::Seconds(10);
// Tokens that live for minutes are refused when clocks differ by more.
constexpr absl::Duration kMaxSkew = absl::Seconds(60);

struct Helper {
  const char* program;
  const char* package;
  const char* purpose;  // "without it ..."
  State without;
  bool knows_version;
};

constexpr Helper kHelpers[] = {
    {"bwrap", "bubblewrap", "no command can be run", State::kFailed, true},
    {"newuidmap", "uidmap", "ordinary users cannot run anything", State::kFailed, false},
    {"busybox", "busybox-static", "there is no first image", State::kWarning, false},
};

std::string FirstLine(absl::string_view text) {
  const std::vector<absl::string_view> lines = absl::StrSplit(text, '\n', absl::SkipWhitespace());
  return lines.empty() ? "" : std::string(absl::StripAsciiWhitespace(lines[0]).substr(0, 100));
}

Check CheckHelper(const Helper& helper) {
  Check check{.name = helper.program};
  // newuidmap and busybox have no --version: they say how they are used.
  std::vector<std::string> words = {helper.program};
  if (helper.knows_version) words.emplace_back("--version");
  const absl::StatusOr<ProgramEnd> end = RunProgram(words, kVersionTimeout);
  if (end.ok()) {
    check.detail = FirstLine(end->output);
    if (helper.program == std::string("newuidmap")) check.detail = "is there";
    if (helper.program == std::string("busybox") && !std::filesystem::exists("/bin/busybox")) {
      check.state = State::kWarning;
      check.detail = "is there, but not as /bin/busybox, so there is no first image";
      check.remedy = "sudo apt-get install busybox-static";
    }
    return check;
  }
  if (helper.program == std::string("newuidmap") && geteuid() == 0) {
    check.state = State::kNotNeeded;
    check.detail = "root maps ids itself";
    return check;
  }
  check.state = helper.without;
  check.detail = absl::IsNotFound(end.status())
                     ? absl::StrCat("is missing: without it, ", helper.purpose)
                     : std::string(end.status().message());
  check.remedy = absl::StrCat("sudo apt-get install ", helper.package);
  return check;
}

// The directory itself, or the nearest one above it that is there.
std::filesystem::path NearestDirectory(const std::string& path) {
  std::filesystem::path nearest = std::filesystem::absolute(path);
  std::error_code error;
  while (!std::filesystem::is_directory(nearest, error) && nearest.has_relative_path()) {
    nearest = nearest.parent_path();
  }
  return nearest;
}

}  // namespace

Check CheckDisk(const std::string& state_dir) {
  const std::string name = "disk";
  const std::filesystem::path place = NearestDirectory(state_dir);
  struct statvfs info {};
  if (statvfs(place.c_str(), &info) != 0) {
    return {.name = name,
            .state = State::kFailed,
            .detail = absl::StrCat("cannot look at ", place.string(), ": ", strerror(errno)),
            .remedy = "name another --state-dir"};
  }
  if (access(place.c_str(), W_OK | X_OK) != 0) {
    return {.name = name,
            .state = State::kFailed,
            .detail = absl::StrCat("cannot write to ", place.string(), ": ", strerror(errno)),
            .remedy = absl::StrCat("sudo chown -R $USER ", place.string(),
                                   ", or name another --state-dir")};
  }
  const uint64_t free = static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
  const std::string detail =
      absl::StrFormat("%.1f GiB free for %s", static_cast<double>(free) / 1024 / kMiB, state_dir);
  if (free >= kLittle) return {.name = name, .detail = detail};
  return {.name = name,
          .state = free < kTooLittle ? State::kFailed : State::kWarning,
          .detail = absl::StrCat(detail, free < kTooLittle ? ": too little" : ": little"),
          .remedy = "make room, or name a --state-dir on a larger file system"};
}

std::vector<Check> CheckHelpers() {
  std::vector<Check> checks;
  for (const Helper& helper : kHelpers) checks.push_back(CheckHelper(helper));
  return checks;
}

Check CheckCredentials(const Options& options) {
  const std::string name = "credentials";
  if (!options.platform_problem.empty()) {
    return {.name = name,
            .state = State::kFailed,
            .detail = options.platform_problem,
            .remedy = "contree-mcp login (or --local, to use this machine)"};
  }
  const std::string file = AuthIniPath();
  struct stat info {};
  if (stat(file.c_str(), &info) == 0 && (info.st_mode & 0077) != 0) {
    return {.name = name,
            .state = State::kWarning,
            .detail = absl::StrCat(file, " can be read by other users of this machine"),
            .remedy = absl::StrCat("chmod 600 ", file)};
  }
  if (options.url.empty()) {
    return {.name = name,
            .state = State::kNotNeeded,
            .detail = "commands run on this machine, by the embedded backend"};
  }
  if (options.token.empty()) {
    return {.name = name,
            .state = State::kFailed,
            .detail = absl::StrCat("there is no token for ", options.url),
            .remedy = absl::StrCat("contree-mcp login --url ", options.url)};
  }
  return {.name = name,
          .detail = absl::StrCat(
              "a token for ", options.url,
              options.project.empty() ? "" : absl::StrCat(", project ", options.project))};
}

Check CheckPlatform(const std::string& name, const absl::StatusOr<PlatformAnswer>& answer) {
  if (!answer.ok()) {
    const bool refused =
        absl::IsUnauthenticated(answer.status()) || absl::IsPermissionDenied(answer.status());
    return {.name = name,
            .state = State::kFailed,
            .detail = std::string(answer.status().message()),
            .remedy = refused ? "contree-mcp login, with a new token"
                              : "check the address, the network and the proxy"};
  }
  std::vector<std::string> lacking;
  for (const auto& [permission, granted] : answer->permissions) {
    if (!granted) lacking.push_back(permission);
  }
  const std::string detail =
      absl::StrFormat("answers in %.0f ms", absl::ToDoubleMilliseconds(answer->took));
  if (lacking.empty()) return {.name = name, .detail = detail};
  return {
      .name = name,
      .state = State::kWarning,
      .detail = absl::StrCat(detail, "; the token does not permit: ", absl::StrJoin(lacking, ", ")),
      .remedy = "ask for a token with these permissions, then contree-mcp login"};
}

Check CheckClock(const absl::StatusOr<PlatformAnswer>& answer) {
  const std::string name = "clock";
  constexpr char kRemedy[] = "sudo timedatectl set-ntp true";
  if (answer.ok() && answer->platform_time.has_value()) {
    // The header counts whole seconds; the answer was made at some time within the exchange.
    const absl::Duration skew = *answer->platform_time - (answer->asked_at + answer->took / 2);
    const absl::Duration off = absl::AbsDuration(skew);
    if (off <= kMaxSkew) return {.name = name, .detail = "agrees with the platform's"};
    return {.name = name,
            .state = State::kFailed,
            .detail = absl::StrCat(absl::FormatDuration(absl::Trunc(off, absl::Seconds(1))),
                                   skew > absl::ZeroDuration() ? " behind" : " ahead of",
                                   " the platform's"),
            .remedy = kRemedy};
  }
  timex kernel{};
  if (adjtimex(&kernel) == -1 || (kernel.status & STA_UNSYNC) != 0) {
    return {.name = name,
            .state = State::kNotNeeded,
            .detail = "nobody to compare it with; the kernel calls it not synchronised"};
  }
  return {.name = name, .detail = "the kernel calls it synchronised"};
}

}  // namespace contree::standalone
