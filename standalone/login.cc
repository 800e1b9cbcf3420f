#include "standalone/login.h"

#include <filesystem>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/files/state_directory.h"
#include "common/status/status_macros.h"
#include "standalone/auth_ini.h"
#include "standalone/client_config/config_file.h"
#include "standalone/platform_check.h"
#include "standalone/terminal.h"

namespace contree::standalone {
namespace {

constexpr absl::Duration kAnswerTimeout = absl::Seconds(30);

absl::Status Store(const std::string& name, const Profile& profile, const std::string& path) {
  ASSIGN_OR_RETURN(const ConfigFile file, ReadConfigFile(path));
  const absl::StatusOr<std::string> text = WithProfile(file.text, name, profile);
  if (!text.ok()) {
    return absl::Status(text.status().code(),
                        absl::StrCat(file.path, ": ", text.status().message()));
  }
  const std::filesystem::path directory = std::filesystem::path(file.path).parent_path();
  if (!std::filesystem::exists(directory)) {
    RETURN_IF_ERROR(MakePrivateDirectory(directory.string()).status());
  }
  return WritePrivateFile(file.path, *text);
}

}  // namespace

absl::Status RunLogin(const Options& options, std::ostream& out) {
  if (options.token_was_a_flag) {
    return absl::InvalidArgumentError(
        "--token can be seen by every user of this machine: leave it out, and give the token at "
        "the prompt or on standard input");
  }
  if (!IsProfileName(options.profile)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the profile's name '", options.profile,
                     "' may have letters, digits, '-', '_' and '.' only"));
  }
  Profile profile{.url = options.url.empty() ? DefaultPlatformUrl(options.project)
                                             : std::string(absl::StripSuffix(options.url, "/")),
                  .token = "",
                  .project = options.project};
  if (!absl::StartsWith(profile.url, "https://") && !absl::StartsWith(profile.url, "http://")) {
    return absl::InvalidArgumentError(
        absl::StrCat("the platform's URL '", profile.url, "' must begin with https:// or http://"));
  }
  ASSIGN_OR_RETURN(profile.token, ReadSecret(absl::StrCat("Token for ", profile.url, ": ")));
  if (!IsBearerToken(profile.token)) {
    return absl::InvalidArgumentError(
        "what was given is no token: it has other characters than letters, digits and -._~+/=");
  }
  ASSIGN_OR_RETURN(const PlatformAnswer answer, AskPlatform({.base_url = profile.url,
                                                             .token = profile.token,
                                                             .project = profile.project,
                                                             .platform = ""},
                                                            kAnswerTimeout));
  const std::string path = AuthIniPath();
  RETURN_IF_ERROR(Store(options.profile, profile, path));
  out << profile.url << " knows this token.";
  std::string lacking;
  for (const auto& [permission, granted] : answer.permissions) {
    if (!granted) absl::StrAppend(&lacking, lacking.empty() ? "" : ", ", permission);
  }
  if (!lacking.empty()) out << " It does not permit: " << lacking << ".";
  out << "\nStored as the active profile '" << options.profile << "' in " << path << std::endl;
  return absl::OkStatus();
}

}  // namespace contree::standalone
