// run: a command on an image.

#include <utility>

#include "absl/time/time.h"
#include "common/status/status_macros.h"
#include "gateway/tools/operation_json.h"
#include "gateway/tools/started_operation.h"
#include "gateway/tools/state_files.h"
#include "gateway/tools/tool.h"
#include "gateway/tools/unary_call.h"

namespace contree::gateway {
namespace {

using contree::v1::ContreeService;
using nlohmann::json;
using Stub = ContreeService::StubInterface;

constexpr char kDescription[] =
    R"(Run a command in an isolated sandbox made from an image. Nothing in it can harm anything outside: root is free to install, delete and break things. Each call starts a sandbox, which is what costs (as import_image does); every other tool here is free.

- image: a UUID or tag:NAME. Call list_images first to find one.
- disposable=true (default): what the command changes is thrown away. Use it for tests and queries.
- disposable=false: the changed file system becomes a new image, result_image. Use it for installs, then continue with run on result_image, or give it a tag with set_tag. The input image never changes, so any earlier image is a place to return to, and several runs on one image are independent branches.
- One step per call: a chain of commands in one run loses the images in between.
- state SUCCESS means that the platform ran the command; look at exit_code for how the command ended. A command that does not exist gives exit_code 127.
- wait=false returns operation_id at once: start several runs this way, then wait_operations.
- Output beyond truncate_output_at bytes per stream is cut; write large output to a file (disposable=false) and use read_file on result_image.)";

constexpr char kInputSchema[] = R"({
  "type": "object",
  "required": ["command", "image"],
  "properties": {
    "command": {"type": "string", "minLength": 1, "description": "Shell expression; with shell=false the path or name of a program."},
    "image": {"type": "string", "minLength": 1, "description": "Image to run on: a UUID or tag:NAME."},
    "shell": {"type": "boolean", "default": true, "description": "Run as sh -c COMMAND. false: start the program itself with args."},
    "args": {"type": "array", "items": {"type": "string"}, "default": [], "description": "Arguments behind the command; of use with shell=false."},
    "env": {"type": "object", "additionalProperties": {"type": "string"}, "default": {}, "description": "Environment variables. Values are strings."},
    "cwd": {"type": "string", "default": "", "description": "Absolute directory to start in; empty: the root."},
    "timeout": {"type": "integer", "minimum": 1, "maximum": 3600, "default": 30, "description": "Seconds after which the command is ended (timed_out=true)."},
    "disposable": {"type": "boolean", "default": true, "description": "true: throw changes away. false: keep them as result_image."},
    "stdin": {"type": "string", "description": "Text given to the command's standard input."},
    "directory_state_id": {"type": "string", "minLength": 1, "description": "A directory to put into the sandbox before the command starts, as rsync stored it: directory_state_id of its result. With disposable=false its files stay in result_image."},
    "files": {"type": "object", "additionalProperties": {"type": "string"}, "default": {}, "description": "Files to put into the sandbox: absolute path in it → uuid from upload; they win over those of directory_state_id. With disposable=false they stay in result_image."},
    "wait": {"type": "boolean", "default": true, "description": "false: return operation_id at once."},
    "truncate_output_at": {"type": "integer", "minimum": 0, "maximum": 10485760, "default": 8000, "description": "Bytes kept of stdout and of stderr each; 0: the default."},
    "uid": {"type": "integer", "minimum": 0, "maximum": 4294967295, "default": 0, "description": "User id of the command; 0 is root."},
    "gid": {"type": "integer", "minimum": 0, "maximum": 4294967295, "default": 0, "description": "Group id of the command."},
    "hostname": {"type": "string", "default": "linuxkit", "description": "Host name inside the sandbox."},
    "preserve_env": {"type": "boolean", "default": false, "description": "Keep env in result_image for later runs."},
    "max_layer_bytes": {"type": "integer", "minimum": 1, "maximum": 9007199254740991, "default": 12884901888, "description": "How much the command may write to the file system."},
    "networking": {"type": "boolean", "default": true, "description": "false: no network for the command."}
  }
})";

contree::v1::RunInstanceRequest ToRequest(const json& arguments) {
  contree::v1::RunInstanceRequest request;
  request.set_command(arguments.at("command").get<std::string>());
  request.set_image(arguments.at("image").get<std::string>());
  request.set_shell(arguments.at("shell").get<bool>());
  for (const json& argument : arguments.at("args")) {
    request.add_args(argument.get<std::string>());
  }
  for (const auto& [name, value] : arguments.at("env").items()) {
    (*request.mutable_env())[name] = value.get<std::string>();
  }
  request.set_cwd(arguments.at("cwd").get<std::string>());
  request.set_uid(arguments.at("uid").get<uint32_t>());
  request.set_gid(arguments.at("gid").get<uint32_t>());
  request.set_hostname(arguments.at("hostname").get<std::string>());
  if (const auto input = arguments.find("stdin"); input != arguments.end()) {
    request.set_stdin(input->get<std::string>());
  }
  for (const auto& [path, uuid] : arguments.at("files").items()) {
    (*request.mutable_files())[path].set_uuid(uuid.get<std::string>());
  }
  request.mutable_timeout()->set_seconds(arguments.at("timeout").get<int64_t>());
  request.set_truncate_output_at(arguments.at("truncate_output_at").get<int64_t>());
  request.set_disposable(arguments.at("disposable").get<bool>());
  request.set_preserve_env(arguments.at("preserve_env").get<bool>());
  request.set_max_layer_bytes(arguments.at("max_layer_bytes").get<int64_t>());
  request.set_networking_disabled(!arguments.at("networking").get<bool>());
  return request;
}

absl::StatusOr<ToolOutput> HandleRun(const json& arguments, RequestContext& context,
                                     const Services& services) {
  Stub& stub = *services.contree;
  return StartOperation(
      arguments.at("wait").get<bool>(), absl::Seconds(arguments.at("timeout").get<int64_t>()),
      context, services, [&](const CallContext& call) -> absl::StatusOr<std::string> {
        const contree::v1::RunInstanceRequest request = ToRequest(arguments);
        const auto state = arguments.find("directory_state_id");
        ASSIGN_OR_RETURN(
            contree::v1::RunInstanceResponse response,
            state == arguments.end()
                ? CallUnary(stub, &Stub::RunInstance, request, call)
                : RunWithDirectoryState(services, state->get<std::string>(), request, call));
        return std::move(*response.mutable_operation_id());
      });
}

}  // namespace

Tool RunTool() {
  return {
      .name = "run",
      .title = "Run a command in a sandbox",
      // Nothing that exists is changed: a new image at most. The command reaches the internet.
      .annotations = {.read_only = false,
                      .destructive = false,
                      .idempotent = false,
                      .open_world = true},
      .description = kDescription,
      .input_schema = kInputSchema,
      .output_schema = OperationSchema(R"(["operation_id"])"),
      .may_wait = true,
      .handler = HandleRun,
  };
}

}  // namespace contree::gateway
