#include "standalone/options.h"

#include <stdlib.h>

#include <CLI/CLI.hpp>
#include <map>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "common/files/state_directory.h"
#include "common/status/status_macros.h"
#include "standalone/client_config/client.h"
#include "standalone/self_description.h"

namespace contree::standalone {
namespace {

// Where a token without a URL belongs: the reference server's default, and the vendor's for IAM
// tokens.
constexpr char kDefaultUrl[] = "https://contree.dev";
constexpr char kDefaultIamUrl[] = "https://api.tokenfactory.nebius.com/sandboxes";
constexpr size_t kMaxIniBytes = 1 << 20;

std::string ConfigHome() {
  if (const char* xdg = getenv("XDG_CONFIG_HOME"); xdg != nullptr && xdg[0] == '/') return xdg;
  const char* home = getenv("HOME");
  return absl::StrCat(home == nullptr ? "" : home, "/.config");
}

// Section → key → value.
using Ini = std::map<std::string, std::map<std::string, std::string>>;

absl::StatusOr<Ini> ParseIni(const std::string& content, const std::string& path) {
  Ini ini;
  try {
    std::istringstream stream(content);
    for (const CLI::ConfigItem& item : CLI::ConfigINI().from_config(stream)) {
      if (item.name == "++" || item.name == "--") continue;  // CLI11's marks of a section's ends
      const std::string section =
          item.parents.empty() ? "default" : absl::StrJoin(item.parents, ".");
      ini[section][item.name] = absl::StrJoin(item.inputs, " ");
    }
  } catch (const CLI::Error& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is not an INI file that can be read: ", error.get_name()));
  }
  return ini;
}

// Gives every option that neither a flag nor the environment named the value that mcp.ini has for
// it. "port" in the section [http] is the option http-port.
absl::Status ApplyMcpIni(const std::string& path, bool must_exist, CLI::App& app) {
  const absl::StatusOr<std::string> content = ReadFile(path, kMaxIniBytes);
  if (absl::IsNotFound(content.status()) && !must_exist) return absl::OkStatus();
  RETURN_IF_ERROR(content.status());
  ASSIGN_OR_RETURN(const Ini ini, ParseIni(*content, path));
  std::map<std::string, std::string> values;
  for (const auto& [section, entries] : ini) {
    for (const auto& [key, value] : entries) {
      const std::string name = section == "default" ? key : absl::StrCat(section, "-", key);
      values[absl::StrReplaceAll(name, {{"_", "-"}})] = value;
    }
  }
  for (CLI::Option* option : app.get_options()) {
    const auto found = values.find(option->get_single_name());
    if (found == values.end() || option->count() > 0) continue;
    try {
      option->add_result(found->second);
      option->run_callback();
    } catch (const CLI::Error& error) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": ", error.what()));
    }
  }
  return absl::OkStatus();
}

// Fills in the platform where flags, environment and mcp.ini named none.
absl::Status ResolvePlatform(bool local, Options& options) {
  if (local) {
    options.url.clear();
    options.token.clear();
    return absl::OkStatus();
  }
  if (options.url.empty() && options.token.empty()) {
    const char* variable = getenv("CONTREE_PROFILE");
    std::optional<std::string> wanted;
    if (variable != nullptr && variable[0] != '\0') wanted = variable;
    ASSIGN_OR_RETURN(const auto profile, ReadActiveProfile(AuthIniPath(), wanted));
    if (profile.has_value()) {
      options.url = profile->url;
      options.token = profile->token;
      if (options.project.empty()) options.project = profile->project;
    }
  } else if (options.url.empty()) {
    options.url = DefaultPlatformUrl(options.project);
  }
  options.url = std::string(absl::StripSuffix(options.url, "/"));
  if (!options.url.empty() && !absl::StartsWith(options.url, "http://") &&
      !absl::StartsWith(options.url, "https://")) {
    return absl::InvalidArgumentError(
        absl::StrCat("the platform's URL '", options.url, "' must begin with https:// or http://"));
  }
  return absl::OkStatus();
}

// The sub-commands for people. Returns what each means.
std::vector<std::pair<const CLI::App*, Command>> AddSubcommands(CLI::App& app, Options& options) {
  CLI::App* demo =
      app.add_subcommand("demo", "A session of an agent on the embedded backend, step by step");
  demo->add_option("--import", options.demo_import,
                   "Also import this image from its registry, such as docker.io/library/alpine, "
                   "and look into it");

  std::vector<std::string> clients;
  for (const Client& client : Clients()) clients.emplace_back(client.name);
  const auto add_client_options = [&](CLI::App* command) {
    command->add_option("CLIENT", options.client, "The client")
        ->required()
        ->check(CLI::IsMember(clients));
    command->add_option("--name", options.server_name, "What the client calls contree-mcp")
        ->check(CLI::Validator(
            [](const std::string& name) {
              return name.find_first_not_of(
                         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                         "0123456789_-") == std::string::npos &&
                             !name.empty()
                         ? ""
                         : "a name has letters, digits, - and _ only";
            },
            "NAME"))
        ->capture_default_str();
    command->add_flag("-y,--yes", options.yes, "Write without asking");
  };
  CLI::App* install =
      app.add_subcommand("install", "Set contree-mcp up in a client, after showing the change");
  add_client_options(install);
  install->add_flag("--print", options.print, "Only print what belongs into the configuration");
  install->add_option("ARGUMENTS", options.server_arguments,
                      "What the client starts contree-mcp with, behind --");
  CLI::App* uninstall = app.add_subcommand("uninstall", "Take contree-mcp out of a client again");
  add_client_options(uninstall);

  CLI::App* login = app.add_subcommand(
      "login", "Store a token for the ConTree API, from the prompt or standard input");
  login->add_option("--profile", options.profile, "The profile of auth.ini that gets it")
      ->capture_default_str();
  CLI::App* registry =
      app.add_subcommand("registry", "Registry credentials: list, add (from the prompt), remove");
  registry->add_option("ACTION", options.registry_action, "What to do")
      ->required()
      ->check(CLI::IsMember({"list", "add", "remove"}));
  registry->add_option("REGISTRY", options.registry, "Such as ghcr.io; for add and remove");
  registry->add_option("--username", options.registry_username,
                       "The user name there; without it the token is an identity token");
  CLI::App* doctor =
      app.add_subcommand("doctor", "What this machine can do, what it lacks, and what mends it");
  CLI::App* status = app.add_subcommand("status", "What runs, where its data is, how large");
  for (CLI::App* command : {registry, doctor, status}) {
    command->add_flag("--json", options.json, "For programs: one JSON object");
  }
  CLI::App* backend = app.add_subcommand("local-backend", "");
  backend->group("");  // contree-mcp calls it; people use contree-local-backend
  backend->add_option("--ready-fd", options.ready_fd);
  return {{demo, Command::kDemo},           {install, Command::kInstall},
          {uninstall, Command::kUninstall}, {login, Command::kLogin},
          {registry, Command::kRegistry},   {doctor, Command::kDoctor},
          {status, Command::kStatus},       {backend, Command::kLocalBackend}};
}

// manual and completion print what the options themselves say.
class SelfDescription {
 public:
  explicit SelfDescription(CLI::App& app) : app_(app) {
    manual_ = app.add_subcommand("manual", "Print a manual page, for man -l -");
    manual_->add_option("COMMAND", command_, "The sub-command; without it: contree-mcp itself");
    completion_ = app.add_subcommand("completion", "Print the completion script for a shell");
    completion_->add_option("SHELL", shell_, "The shell")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  }

  // nullopt: neither was asked for.
  std::optional<ParsedCommandLine> Answer() const {
    if (completion_->parsed()) return ParsedCommandLine{.text = CompletionScript(app_, shell_)};
    if (!manual_->parsed()) return std::nullopt;
    absl::StatusOr<std::string> page = ManualPage(app_, command_);
    if (page.ok()) return ParsedCommandLine{.text = *std::move(page)};
    return ParsedCommandLine{.text = absl::StrCat("contree-mcp: ", page.status().message(), "\n"),
                             .exit_code = 2};
  }

 private:
  const CLI::App& app_;
  CLI::App* manual_;
  CLI::App* completion_;
  std::string command_;
  std::string shell_;
};

}  // namespace

std::string AuthIniPath() {
  if (const char* home = getenv("CONTREE_HOME"); home != nullptr && home[0] != '\0') {
    return absl::StrCat(home, "/auth.ini");
  }
  return absl::StrCat(ConfigHome(), "/contree/auth.ini");
}

std::string DefaultPlatformUrl(absl::string_view project) {
  return project.empty() ? kDefaultUrl : kDefaultIamUrl;
}

absl::StatusOr<std::optional<Profile>> ReadActiveProfile(
    const std::string& auth_ini, const std::optional<std::string>& wanted_profile) {
  const absl::StatusOr<std::string> content = ReadFile(auth_ini, kMaxIniBytes);
  if (absl::IsNotFound(content.status())) return std::nullopt;
  RETURN_IF_ERROR(content.status());
  ASSIGN_OR_RETURN(Ini ini, ParseIni(*content, auth_ini));

  std::map<std::string, std::string> values = ini["default"];  // every section inherits them
  std::string name =
      wanted_profile.value_or(values.contains("profile") ? values["profile"] : "default");
  const auto section = ini.find(absl::StrCat("profile:", name));
  if (section == ini.end()) {
    if (!wanted_profile.has_value()) return std::nullopt;
    return absl::InvalidArgumentError(
        absl::StrCat(auth_ini, " has no [profile:", name, "], which CONTREE_PROFILE names"));
  }
  for (const auto& [key, value] : section->second) values[key] = value;

  const std::string type = values.contains("type") ? values["type"] : "jwt";
  Profile profile{.url = values["url"], .token = values["token"], .project = values["project"]};
  const std::string where = absl::StrCat(auth_ini, ", [profile:", name, "]: ");
  if (profile.token.empty())
    return absl::InvalidArgumentError(absl::StrCat(where, "token is missing"));
  if (type == "iam") {
    if (profile.project.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, "project is missing; a profile of type iam needs it"));
    }
    if (profile.url.empty()) profile.url = kDefaultIamUrl;
  } else if (type != "jwt") {
    return absl::InvalidArgumentError(
        absl::StrCat(where, "type '", type, "' is neither jwt nor iam"));
  } else if (profile.url.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, "url is missing; a profile of type jwt needs it"));
  }
  return profile;
}

ParsedCommandLine ParseCommandLine(int argc, const char* const* argv) {
  Options options;
  bool local = false;
  CLI::App app(
      "contree-mcp: sandboxes for AI agents, over the Model Context Protocol. Every command runs "
      "isolated as root on an "
      "immutable image; a run that changes something makes a new one.",
      "contree-mcp");
  app.set_version_flag("--version", "contree-mcp 0.1.0");
  std::string mcp_ini = absl::StrCat(ConfigHome(), "/contree/mcp.ini");
  CLI::Option* config =
      app.add_option("--config", mcp_ini, "A file with these options as KEY = VALUE");
  config->envname("CONTREE_MCP_CONFIG")->capture_default_str();
  app.fallthrough();
  app.add_option("--mode", options.mode, "How clients connect: stdio, or http (POST /mcp)")
      ->envname("CONTREE_MCP_MODE")
      ->check(CLI::IsMember({"stdio", "http"}))
      ->capture_default_str();
  app.add_option("--http-listen,--http_listen", options.http_listen,
                 "The address for --mode http; loopback only")
      ->envname("CONTREE_MCP_HTTP_LISTEN")
      ->capture_default_str();
  app.add_option("--http-port,--http_port", options.http_port,
                 "The port for --mode http; 0 takes a free one and prints it")
      ->envname("CONTREE_MCP_HTTP_PORT")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  app.add_option("--workspace-root,--workspace_root", options.workspace_roots,
                 "Directory whose files rsync, upload and download may touch in --mode http; "
                 "several with a colon between or the flag repeated; none by default")
      ->envname("CONTREE_MCP_WORKSPACE_ROOT")
      ->delimiter(':')
      ->allow_extra_args(false);
  app.add_flag("--no-watch,--no_watch", options.no_watch,
               "Walk a directory for each rsync instead of watching it for changes in between")
      ->envname("CONTREE_MCP_NO_WATCH");
  app.add_option(
         "--isolation", options.isolation,
         "What the embedded backend isolates commands by: namespaces, gvisor (slower, no network, "
         "needs the package runsc and cgroups), or microvm (a virtual machine for each, no "
         "network, "
         "seconds without KVM; needs the package qemu-system-x86 and a kernel in /boot)")
      ->check(CLI::IsMember({"namespaces", "gvisor", "microvm"}))
      ->envname("CONTREE_MCP_ISOLATION")
      ->capture_default_str();
  app.add_option("--vm-kernel,--vm_kernel", options.vm_kernel,
                 "Kernel (bzImage) of --isolation=microvm; empty: the newest /boot/vmlinuz-*")
      ->envname("CONTREE_MCP_VM_KERNEL");
  app.add_option("--vm-modules,--vm_modules", options.vm_modules,
                 "Directory of that kernel's modules; empty: /lib/modules/VERSION")
      ->envname("CONTREE_MCP_VM_MODULES");
  app.add_option("--vm-accelerator,--vm_accelerator", options.vm_accelerator,
                 "kvm, software (emulation, seconds for each command), or auto: kvm where a "
                 "virtual machine really starts with it")
      ->check(CLI::IsMember({"auto", "kvm", "software"}))
      ->envname("CONTREE_MCP_VM_ACCELERATOR")
      ->capture_default_str();
  app.add_option("--insecure-registry,--insecure_registry", options.insecure_registries,
                 "HOST[:PORT] of a registry to import from without TLS; may be repeated")
      ->envname("CONTREE_MCP_INSECURE_REGISTRIES")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--private-registry,--private_registry", options.private_registries,
                 "HOST[:PORT] of a registry on a private address; may be repeated")
      ->envname("CONTREE_MCP_PRIVATE_REGISTRIES")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--url", options.url,
                 "Base URL of the ConTree API; without credentials the embedded backend serves it")
      ->envname("CONTREE_MCP_URL");
  CLI::Option* token =
      app.add_option("--token", options.token,
                     "Token for the ConTree API. Other users of this machine can see a flag: "
                     "use the environment or mcp.ini instead");
  token->envname("CONTREE_MCP_TOKEN");
  app.add_option("--project", options.project, "Project of an IAM token")
      ->envname("CONTREE_MCP_PROJECT");
  CLI::Option* use_local =
      app.add_flag("--local", local, "Use the embedded backend, whatever credentials there are");
  app.add_option("--remote", options.remote,
                 "https://HOST[:PORT] of an installation elsewhere: tools run there, while rsync, "
                 "upload and download work on this machine's files; the token is taken from "
                 "CONTREE_MCP_REMOTE_TOKEN or a file")
      ->envname("CONTREE_MCP_REMOTE")
      ->excludes(use_local);
  app.add_option("--remote-token-file,--remote_token_file", options.remote_token_file,
                 "A file with the token for --remote; read again when it changes")
      ->envname("CONTREE_MCP_REMOTE_TOKEN_FILE");
  app.add_option("--remote-ca,--remote_ca", options.remote_ca,
                 "Certificates (PEM) to trust for --remote instead of the system's")
      ->envname("CONTREE_MCP_REMOTE_CA");
  app.add_option("--state-dir,--state_dir", options.state_dir, "Where everything is kept")
      ->envname("CONTREE_MCP_STATE_DIR")
      ->default_str(DefaultStateDirectory());
  app.add_option(
         "--grpc-listen,--grpc_listen", options.grpc_listen,
         "HOST:PORT for gRPC (health, reflection, services); loopback only; none by default")
      ->envname("CONTREE_MCP_GRPC_LISTEN");
  app.add_option("--log-level,--log_level", options.log_level, "debug, info, warning or error")
      ->envname("CONTREE_MCP_LOG_LEVEL")
      ->capture_default_str();
  const auto commands = AddSubcommands(app, options);
  app.require_subcommand(0, 1);
  const SelfDescription description(app);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::ostringstream text;
    const int exit_code = app.exit(error, text, text);
    return {.options = std::nullopt, .text = text.str(), .exit_code = exit_code};
  }
  if (std::optional<ParsedCommandLine> answer = description.Answer(); answer.has_value()) {
    return *std::move(answer);
  }
  const auto fail = [](const absl::Status& status) {
    return ParsedCommandLine{.options = std::nullopt,
                             .text = absl::StrCat("contree-mcp: ", status.message(), "\n"),
                             .exit_code = 2};
  };
  if (const absl::Status status = ApplyMcpIni(mcp_ini, config->count() > 0, app); !status.ok())
    return fail(status);
  for (int i = 1; i < argc; ++i) options.token_was_a_flag |= absl::StartsWith(argv[i], "--token");
  if (options.state_dir.empty()) options.state_dir = DefaultStateDirectory();
  // No flag: everybody on this machine could see it.
  if (const char* token = getenv("CONTREE_MCP_REMOTE_TOKEN"); token != nullptr)
    options.remote_token = token;
  for (const auto& [subcommand, command] : commands) {
    if (subcommand->parsed()) options.command = command;
  }
  absl::Status status;
  switch (options.command) {
    case Command::kInstall:
    case Command::kUninstall:
    case Command::kLogin:
    case Command::kRegistry:
      break;
    case Command::kDemo:
    case Command::kLocalBackend:
      status = ResolvePlatform(/*local=*/true, options);
      break;
    case Command::kDoctor:
    case Command::kStatus:
      if (options.remote.empty())
        options.platform_problem = std::string(ResolvePlatform(local, options).message());
      break;
    case Command::kServe:
      if (options.remote.empty()) status = ResolvePlatform(local, options);
      break;
  }
  if (!status.ok()) return fail(status);
  return {.options = std::move(options), .text = "", .exit_code = 0};
}

}  // namespace contree::standalone
