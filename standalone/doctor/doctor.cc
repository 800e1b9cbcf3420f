#include "standalone/doctor/doctor.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "common/files/state_directory.h"
#include "common/rpc/call_context.h"
#include "common/status/status_macros.h"
#include "standalone/backend_flags.h"
#include "standalone/doctor/isolation_checks.h"
#include "standalone/doctor/surroundings_checks.h"
#include "standalone/embedded_backend.h"
#include "standalone/platform_check.h"
#include "standalone/remote_channel.h"

namespace contree::standalone {
namespace {

using State = Check::State;

constexpr absl::Duration kBackendTimeout = absl::Seconds(60);
constexpr absl::Duration kPlatformTimeout = absl::Seconds(20);

constexpr const char* kMarks[] = {"ok", "-", "warn", "FAIL"};
constexpr const char* kJsonStates[] = {"ok", "not_needed", "warning", "failed"};

template <typename T>
T Of(const T* names, const Check& check) {
  return names[static_cast<size_t>(check.state)];
}

// Joins or starts the backend, which runs a command in a sandbox before it serves.
absl::StatusOr<PlatformAnswer> AskEmbeddedBackend(const Options& options) {
  ASSIGN_OR_RETURN(const std::string directory, MakePrivateDirectory(options.state_dir));
  EmbeddedBackend backend(
      {.state_dir = directory, .isolation = options.isolation, .arguments = BackendFlags(options)});
  ASSIGN_OR_RETURN(const ApiEndpoint endpoint,
                   backend.EndpointFor(NewCallContext(kBackendTimeout)));
  return AskPlatform(endpoint, kPlatformTimeout);
}

Check CheckBackend(const Options& options, const absl::StatusOr<PlatformAnswer>& answer) {
  Check check = CheckPlatform("backend", answer);
  if (check.state == State::kOk) {
    check.detail = absl::StrCat("ran a command in a sandbox (--isolation=", options.isolation,
                                "), ", check.detail);
  } else {
    check.remedy =
        absl::StrCat("mend what fails above; its log: ", options.state_dir, "/local-backend.log");
  }
  return check;
}

Check CheckNetworkOf(const Options& options) {
  if (options.isolation == "namespaces") return CheckNetwork();
  return {
      .name = "network",
      .state = State::kNotNeeded,
      .detail = absl::StrCat("sandboxes have loopback only with --isolation=", options.isolation)};
}

std::vector<Check> ChecksOfThisMachine(const Options& options) {
  // Those that fork come first, while there are no threads.
  std::vector<Check> checks = {CheckUserNamespaces(),   CheckSubordinateIds(),
                               CheckSeccomp(),          CheckCgroups(),
                               CheckNetworkOf(options), CheckDisk(options.state_dir)};
  if (options.isolation == "microvm") {
    checks.push_back(CheckVirtualMachines(options.vm_kernel));
    checks.push_back(CheckKvm());
  }
  for (Check& helper : CheckHelpers()) checks.push_back(std::move(helper));
  checks.push_back(CheckCredentials(options));
  const absl::StatusOr<PlatformAnswer> answer = AskEmbeddedBackend(options);
  checks.push_back(CheckBackend(options, answer));
  checks.push_back({.name = "upstream",
                    .state = State::kNotNeeded,
                    .detail = "commands run on this machine, by the embedded backend"});
  // The backend's clock is this one.
  checks.push_back(CheckClock(absl::UnavailableError("no other clock")));
  return checks;
}

std::vector<Check> ChecksOfAPlatform(const Options& options) {
  std::vector<Check> checks = {CheckDisk(options.state_dir), CheckCredentials(options)};
  const absl::StatusOr<PlatformAnswer> answer = AskPlatform(
      {.base_url = options.url, .token = options.token, .project = options.project, .platform = ""},
      kPlatformTimeout);
  checks.push_back(CheckPlatform("upstream", answer));
  checks.push_back(CheckClock(answer));
  checks.push_back({.name = "isolation",
                    .state = State::kNotNeeded,
                    .detail = absl::StrCat("commands run on ", options.url,
                                           "; doctor --local looks at this machine")});
  return checks;
}

// That the services there answer is all that can be seen from here: what they need is looked at
// where they run.
std::vector<Check> ChecksOfARemote(const Options& options) {
  std::vector<Check> checks = {CheckDisk(options.state_dir)};
  const absl::StatusOr<PlatformAnswer> answer = AskRemote(RemoteOf(options), kPlatformTimeout);
  Check check = CheckPlatform("remote", answer);
  check.detail = absl::StrCat(answer.ok() ? absl::StrCat(options.remote, " ") : "", check.detail);
  if (!answer.ok()) {
    check.remedy =
        absl::IsUnauthenticated(answer.status()) || absl::IsPermissionDenied(answer.status())
            ? "ask its operator for a key; set CONTREE_MCP_REMOTE_TOKEN or --remote-token-file"
            : "check --remote, the network, and --remote-ca where its certificate is your own";
  } else if (check.state != State::kOk) {
    check.remedy = "ask its operator for a key with these permissions";
  }
  checks.push_back(std::move(check));
  checks.push_back(CheckClock(absl::UnavailableError("its time is not known")));
  checks.push_back({.name = "isolation",
                    .state = State::kNotNeeded,
                    .detail = absl::StrCat("commands run on ", options.remote,
                                           "; doctor --local looks at this machine")});
  return checks;
}

std::vector<Check> ChecksOf(const Options& options) {
  if (!options.remote.empty()) return ChecksOfARemote(options);
  if (!options.platform_problem.empty()) {
    return {CheckDisk(options.state_dir), CheckCredentials(options)};
  }
  return options.url.empty() ? ChecksOfThisMachine(options) : ChecksOfAPlatform(options);
}

}  // namespace

int RunDoctor(const Options& options, std::ostream& out) {
  const std::vector<Check> checks = ChecksOf(options);
  options.json ? PrintChecksAsJson(checks, out) : PrintChecks(checks, out);
  return std::any_of(checks.begin(), checks.end(),
                     [](const Check& check) { return check.state == State::kFailed; })
             ? 1
             : 0;
}

void PrintChecks(const std::vector<Check>& checks, std::ostream& out) {
  int failed = 0;
  int warnings = 0;
  for (const Check& check : checks) {
    out << absl::StrFormat("%-4s  %-16s  %s\n", Of(kMarks, check), check.name, check.detail);
    if (!check.remedy.empty()) out << absl::StrFormat("%24s→ %s\n", "", check.remedy);
    failed += check.state == State::kFailed ? 1 : 0;
    warnings += check.state == State::kWarning ? 1 : 0;
  }
  if (failed > 0) {
    out << "\n" << failed << (failed == 1 ? " check" : " checks") << " failed.\n";
  } else {
    out << "\nEverything that is needed works";
    if (warnings > 0) {
      out << "; " << warnings << (warnings == 1 ? " thing" : " things") << " could be better";
    }
    out << ".\n";
  }
  out << std::flush;
}

void PrintChecksAsJson(const std::vector<Check>& checks, std::ostream& out) {
  nlohmann::ordered_json all = {{"ok", true}, {"checks", nlohmann::ordered_json::array()}};
  for (const Check& check : checks) {
    if (check.state == State::kFailed) all["ok"] = false;
    nlohmann::ordered_json one = {
        {"name", check.name}, {"state", Of(kJsonStates, check)}, {"detail", check.detail}};
    if (!check.remedy.empty()) one["remedy"] = check.remedy;
    all["checks"].push_back(std::move(one));
  }
  out << all.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << std::endl;
}

}  // namespace contree::standalone
