#include "standalone/install.h"

#include <unistd.h>

#include <filesystem>
#include <string>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "standalone/client_config/client.h"
#include "standalone/client_config/config_file.h"
#include "standalone/client_config/text_diff.h"
#include "standalone/terminal.h"

namespace contree::standalone {
namespace {

absl::StatusOr<ServerEntry> EntryOf(const Options& options) {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return absl::ErrnoToStatus(error.value(), "cannot find this program's own path");
  for (const std::string& argument : options.server_arguments) {
    if (absl::StartsWith(argument, "--token")) {
      return absl::InvalidArgumentError(
          "a token in a configuration can be read by everything that reads it: use 'contree-mcp "
          "login' instead of --token");
    }
  }
  return ServerEntry{.name = options.server_name,
                     .command = program.string(),
                     .arguments = options.server_arguments};
}

absl::StatusOr<const Client*> ClientOf(const Options& options) {
  const Client* client = FindClient(options.client);
  if (client != nullptr) return client;
  return absl::InvalidArgumentError(absl::StrCat("no client is called '", options.client, "'"));
}

absl::Status LeftAsItIs(const absl::Status& status, const ConfigFile& file) {
  return absl::Status(status.code(), absl::StrCat(file.path, ": ", status.message(),
                                                  ". The file was left as it is."));
}

// Shows the change, asks, writes. True: it was written.
absl::StatusOr<bool> Change(const Options& options, const ConfigFile& file,
                            const std::string& changed, std::ostream& out) {
  if (file.exists && changed == file.text) return false;
  out << file.path << (file.exists ? "" : " (new)") << "\n\n"
      << DiffForPeople(file.text, changed) << std::endl;
  if (!options.yes) {
    if (!SomebodyIsThere()) {
      return absl::FailedPreconditionError(
          "nothing was changed: there is no terminal to ask on; --yes goes ahead without asking");
    }
    if (!AskYesOrNo("Write this?")) return absl::CancelledError("nothing was changed");
  }
  ASSIGN_OR_RETURN(const std::string backup, ReplaceConfigFile(file, changed));
  out << "Written.";
  if (!backup.empty()) out << " The file as it was: " << backup;
  out << std::endl;
  return true;
}

}  // namespace

absl::Status RunInstall(const Options& options, std::ostream& out) {
  ASSIGN_OR_RETURN(const Client* client, ClientOf(options));
  ASSIGN_OR_RETURN(const ServerEntry entry, EntryOf(options));
  if (options.print) {
    out << Snippet(*client, entry) << std::flush;
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const std::string path, ConfigPath(*client));
  ASSIGN_OR_RETURN(const ConfigFile file, ReadConfigFile(path));
  const absl::StatusOr<std::string> changed = WithServer(*client, file.text, entry);
  if (!changed.ok()) return LeftAsItIs(changed.status(), file);
  ASSIGN_OR_RETURN(const bool written, Change(options, file, *changed, out));
  if (!written) {
    out << client->title << " has '" << entry.name << "' already: " << file.path << std::endl;
    return absl::OkStatus();
  }
  out << client->next_step << std::endl;
  return absl::OkStatus();
}

absl::Status RunUninstall(const Options& options, std::ostream& out) {
  ASSIGN_OR_RETURN(const Client* client, ClientOf(options));
  ASSIGN_OR_RETURN(const std::string path, ConfigPath(*client));
  ASSIGN_OR_RETURN(const ConfigFile file, ReadConfigFile(path));
  const absl::StatusOr<std::string> changed =
      WithoutServer(*client, file.text, options.server_name);
  if (!changed.ok()) return LeftAsItIs(changed.status(), file);
  if (!file.exists || *changed == file.text) {
    out << client->title << " has no '" << options.server_name << "': " << file.path << std::endl;
    return absl::OkStatus();
  }
  return Change(options, file, *changed, out).status();
}

}  // namespace contree::standalone
