// read_file: the content of a file inside an image.

#include "absl/strings/str_cat.h"
#include "common/rpc/grpc_context.h"
#include "common/status/grpc_status.h"
#include "gateway/tools/text_encoding.h"
#include "gateway/tools/tool.h"

namespace contree::gateway {
namespace {

using nlohmann::json;

// An answer is held in memory on both sides of the wire, several times over.
constexpr size_t kMaxBytes = 10 * 1024 * 1024;

constexpr char kDescription[] =
    R"(Read a file inside an image. Free: nothing is started, so prefer it to run with cat. Text comes as it is, anything else as base64 (encoding says which). For a part of a large file use run with head, tail or sed.)";

constexpr char kInputSchema[] = R"({
  "type": "object",
  "required": ["image", "path"],
  "properties": {
    "image": {"type": "string", "minLength": 1, "description": "A UUID or tag:NAME."},
    "path": {"type": "string", "minLength": 1, "description": "Absolute path inside the image."}
  }
})";

constexpr char kOutputSchema[] = R"({
  "type": "object",
  "required": ["path", "content", "encoding", "size"],
  "properties": {
    "path": {"type": "string"},
    "content": {"type": "string"},
    "encoding": {"type": "string", "enum": ["utf-8", "base64"], "description": "How content is written."},
    "size": {"type": "integer", "description": "Bytes of the file."}
  }
})";

absl::StatusOr<ToolOutput> HandleReadFile(const json& arguments, RequestContext& context,
                                          const Services& services) {
  contree::v1::ReadFileRequest request;
  request.set_image(arguments.at("image").get<std::string>());
  request.set_path(arguments.at("path").get<std::string>());
  OutgoingCall call(context.call);
  const auto reader = services.contree->ReadFile(call.client_context(), request);
  std::string bytes;
  contree::v1::ReadFileResponse response;
  while (reader->Read(&response)) {
    bytes.append(response.data());
    if (bytes.size() > kMaxBytes) {
      call.client_context()->TryCancel();
      reader->Finish();
      return absl::FailedPreconditionError(
          absl::StrCat("file '", request.path(), "' is larger than ", kMaxBytes,
                       " bytes, the most that read_file returns; read a part of it with run and "
                       "head, tail or sed"));
    }
  }
  if (const grpc::Status status = reader->Finish(); !status.ok()) return FromGrpcStatus(status);
  EncodedBytes encoded = EncodeBytes(bytes);
  ToolOutput output;
  output.structured["path"] = request.path();
  output.structured["content"] = std::move(encoded.text);
  output.structured["encoding"] = encoded.is_base64 ? "base64" : "utf-8";
  output.structured["size"] = bytes.size();
  return output;
}

}  // namespace

Tool ReadFileTool() {
  return {
      .name = "read_file",
      .title = "Read a file of an image",
      .annotations = {.read_only = true,
                      .destructive = false,
                      .idempotent = true,
                      .open_world = false},
      .description = kDescription,
      .input_schema = kInputSchema,
      .output_schema = kOutputSchema,
      .handler = HandleReadFile,
  };
}

}  // namespace contree::gateway
