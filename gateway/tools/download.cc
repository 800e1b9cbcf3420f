// download: a file of an image onto this machine.

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/rpc/grpc_context.h"
#include "common/status/grpc_status.h"
#include "common/status/status_macros.h"
#include "gateway/tools/byte_count.h"
#include "gateway/tools/next_step.h"
#include "gateway/tools/tool.h"
#include "gateway/workspace/atomic_file.h"

namespace contree::gateway {
namespace {

using nlohmann::json;

// A large file over a slow line.
constexpr absl::Duration kTimeout = absl::Minutes(30);
constexpr int64_t kProgressEveryBytes = 8 << 20;

constexpr char kDescription[] =
    R"(Copy a file of an image to the machine that this server runs on. Free. Use it for what the user shall have: a build's result, a report, a data set; to read a file yourself use read_file. The destination's directory has to exist; a file that is there already is replaced, in one step and only after all of the new one has arrived. For a whole directory make an archive first: run with tar and disposable=false.)";

constexpr char kInputSchema[] = R"({
  "type": "object",
  "required": ["image", "path", "destination"],
  "properties": {
    "image": {"type": "string", "minLength": 1, "description": "A UUID or tag:NAME."},
    "path": {"type": "string", "minLength": 1, "description": "Absolute path of the file inside the image."},
    "destination": {"type": "string", "minLength": 1, "description": "Path of the file to write on the machine that this server runs on. Absolute, relative to where the server was started, or ~/…"},
    "executable": {"type": "boolean", "default": false, "description": "true: make it a program (mode 0755 instead of 0644)."}
  }
})";

constexpr char kOutputSchema[] = R"({
  "type": "object",
  "required": ["success", "source", "destination", "size", "executable"],
  "properties": {
    "success": {"type": "boolean"},
    "source": {
      "type": "object",
      "required": ["image", "path"],
      "properties": {"image": {"type": "string"}, "path": {"type": "string"}}
    },
    "destination": {"type": "string", "description": "Where the file is now, absolute."},
    "size": {"type": "integer", "description": "Bytes."},
    "executable": {"type": "boolean"}
  }
})";

absl::StatusOr<ToolOutput> HandleDownload(const json& arguments, RequestContext& context,
                                          const Services& services) {
  const bool executable = arguments.at("executable").get<bool>();
  contree::v1::ReadFileRequest request;
  request.set_image(arguments.at("image").get<std::string>());
  request.set_path(arguments.at("path").get<std::string>());
  ASSIGN_OR_RETURN(
      HostDestination destination,
      services.workspace.OpenDestination(arguments.at("destination").get<std::string>()));
  ASSIGN_OR_RETURN(const std::unique_ptr<AtomicFile> file,
                   AtomicFile::Create(std::move(destination), executable ? 0755 : 0644));

  context.call.deadline = absl::Now() + kTimeout;
  OutgoingCall call(context.call);
  const auto reader = services.contree->ReadFile(call.client_context(), request);
  contree::v1::ReadFileResponse piece;
  int64_t reported = 0;
  while (reader->Read(&piece)) {
    if (const absl::Status written = file->Write(piece.data()); !written.ok()) {
      call.client_context()->TryCancel();
      reader->Finish();
      return written;
    }
    if (file->size() - reported >= kProgressEveryBytes) {
      reported = file->size();
      context.report_progress(absl::StrCat("downloaded ", ByteCount(reported)));
    }
  }
  if (const grpc::Status status = reader->Finish(); !status.ok()) {
    return WithNextStep(
        WithNextStepInImage(FromGrpcStatus(status)), absl::StatusCode::kFailedPrecondition,
        "list_files lists a directory; to download one, make an archive of it with run, tar and "
        "disposable=false");
  }
  RETURN_IF_ERROR(file->Commit());

  ToolOutput output;
  output.structured["success"] = true;
  output.structured["source"] = {{"image", request.image()}, {"path", request.path()}};
  output.structured["destination"] = file->path();
  output.structured["size"] = file->size();
  output.structured["executable"] = executable;
  return output;
}

}  // namespace

Tool DownloadTool() {
  return {
      .name = "download",
      .title = "Download a file",
      // Replaces a file of the user.
      .annotations = {.read_only = false,
                      .destructive = true,
                      .idempotent = true,
                      .open_world = false},
      .description = kDescription,
      .input_schema = kInputSchema,
      .output_schema = kOutputSchema,
      .may_wait = true,
      .handler = HandleDownload,
  };
}

}  // namespace contree::gateway
