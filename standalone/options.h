#ifndef STANDALONE_OPTIONS_H_
#define STANDALONE_OPTIONS_H_

// What a person may set on contree-mcp, and where it comes from: flags, then the environment
// (CONTREE_MCP_*), then
// ~/.config/contree/mcp.ini, then the active profile of the vendor's auth.ini. Names and defaults
// are those of the reference server, so that an existing client configuration keeps working.

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace contree::standalone {

enum class Command {
  kServe,         // none: MCP on stdio or HTTP
  kDemo,          // a scripted session, printed for people
  kInstall,       // sets contree-mcp up in a client
  kUninstall,     // takes it out again
  kLogin,         // stores a token in the vendor's auth.ini
  kRegistry,      // lists, adds and removes registry credentials
  kDoctor,        // what this machine can do, and what it lacks
  kStatus,        // what runs and where its data is
  kLocalBackend,  // what contree-mcp runs itself as, to serve the embedded backend
};

struct Options {
  Command command = Command::kServe;
  std::string mode = "stdio";  // or "http"
  std::string http_listen = "127.0.0.1";
  int http_port = 9452;  // 0: a free one
  // Directories whose files tools may touch over HTTP; over stdio they may touch the user's own
  // files, unless this names some.
  std::vector<std::string> workspace_roots;
  // Registries ("HOST[:PORT]") that are spoken to without TLS, and those on private addresses.
  std::vector<std::string> insecure_registries;
  std::vector<std::string> private_registries;
  std::string demo_import;  // the reference of an image that the demo imports; empty: none
  std::string isolation =
      "namespaces";  // of the embedded backend's commands; "gvisor" or "microvm"
  // Of "microvm": kernel and modules, empty: of this machine; "kvm", "software" or "auto".
  std::string vm_kernel;
  std::string vm_modules;
  std::string vm_accelerator = "auto";
  bool no_watch = false;    // rsync walks its source each time
  std::string grpc_listen;  // HOST:PORT of gRPC health, reflection and services; empty: none
  std::string log_level = "warning";
  std::string state_dir;

  // The platform; an empty base URL means the embedded backend.
  std::string url;
  std::string token;
  std::string project;
  bool token_was_a_flag = false;  // then it could be seen by everybody on this machine

  // An installation elsewhere ("https://HOST[:PORT]") whose services are used instead of own ones;
  // empty: none.
  std::string remote;
  std::string remote_token;
  std::string remote_token_file;
  std::string remote_ca;

  // Of kDoctor and kStatus without a remote: why flags, environment and files name no platform;
  // empty: they do, or name none.
  std::string platform_problem;
  bool json = false;  // one JSON object instead of lines; of kRegistry too

  std::string client;                         // of kInstall and kUninstall: a name
  std::string server_name = "contree";        // what the client calls contree-mcp
  std::vector<std::string> server_arguments;  // what it starts contree-mcp with
  bool yes = false;                           // do not ask
  bool print = false;                         // only show what belongs into the configuration
  std::string profile = "default";            // of kLogin
  std::string registry_action;                // of kRegistry: "list", "add", "remove"
  std::string registry;                       // of its add and remove
  std::string registry_username;              // of its add; empty: an identity token

  int ready_fd = -1;  // of kLocalBackend
};

// What reading the command line came to: options, or a text to print and an exit code (help,
// version, a manual page, a completion script, a mistake).
struct ParsedCommandLine {
  std::optional<Options> options = std::nullopt;
  std::string text = {};
  int exit_code = 0;
};

// Reads flags, environment and files.
ParsedCommandLine ParseCommandLine(int argc, const char* const* argv);

// Where the vendor's tools keep tokens: $CONTREE_HOME/auth.ini, else contree/auth.ini in the
// configuration directory.
std::string AuthIniPath();

// The platform of a token without a URL: the reference server's default, or the vendor's for tokens
// with a project.
std::string DefaultPlatformUrl(absl::string_view project);

// The credentials of a profile in the vendor's auth.ini (contree-http-api: [profile:NAME] with
// token, url, type and project; the active one is CONTREE_PROFILE's, else [DEFAULT] profile's, else
// "default").
struct Profile {
  std::string url;
  std::string token;
  std::string project;
};

// nullopt: no file, or none of its profiles is the active one. InvalidArgument: the file or the
// profile makes no sense; the message names the file and the key, never the token.
absl::StatusOr<std::optional<Profile>> ReadActiveProfile(
    const std::string& auth_ini, const std::optional<std::string>& wanted_profile);

}  // namespace contree::standalone

#endif  // STANDALONE_OPTIONS_H_
