// upload: stores a file on the platform, for later runs.

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/rpc/grpc_context.h"
#include "common/status/grpc_status.h"
#include "common/status/status_macros.h"
#include "gateway/tools/byte_count.h"
#include "gateway/tools/tool.h"

namespace contree::gateway {
namespace {

using contree::v1::StoredFile;
using contree::v1::UploadFileRequest;
using nlohmann::json;

constexpr size_t kPieceBytes = 256 * 1024;
// A large file over a slow line.
constexpr absl::Duration kTimeout = absl::Minutes(30);
constexpr int64_t kProgressEveryBytes = 8 << 20;

constexpr char kDescription[] =
    R"(Store one file on the platform, to be put into a sandbox by run with files={"/path/in/container": uuid}. Free. Give exactly one of path (a file of the machine that this server runs on), content (text) or content_base64 (any bytes). The same bytes always give the same uuid. For a directory use rsync; to make a file inside an image without uploading, use run with disposable=false.)";

constexpr char kInputSchema[] = R"({
  "type": "object",
  "properties": {
    "path": {"type": "string", "minLength": 1, "description": "File on the machine that this server runs on. Absolute, relative to where the server was started, or ~/…"},
    "content": {"type": "string", "description": "The file's text; may be empty."},
    "content_base64": {"type": "string", "description": "The file's bytes as standard base64."}
  }
})";

constexpr char kOutputSchema[] = R"({
  "type": "object",
  "required": ["uuid", "sha256", "size"],
  "properties": {
    "uuid": {"type": "string", "description": "Names the file; a value for files of run."},
    "sha256": {"type": "string", "description": "Of its bytes, lower-case hexadecimal."},
    "size": {"type": "integer", "description": "Bytes."}
  }
})";

// Gives the next bytes, at most `most`; empty at the end.
using Source = std::function<absl::StatusOr<std::string>(size_t most)>;

absl::StatusOr<StoredFile> Send(const Services& services, std::optional<int64_t> size,
                                const Source& source, RequestContext& context) {
  context.call.deadline = absl::Now() + kTimeout;
  OutgoingCall call(context.call);
  contree::v1::UploadFileResponse response;
  const auto writer = services.contree->UploadFile(call.client_context(), &response);
  UploadFileRequest header;
  header.mutable_header();
  if (size.has_value()) header.mutable_header()->set_size(*size);
  bool is_taken = writer->Write(header);
  UploadFileRequest piece;
  int64_t sent = 0;
  int64_t reported = 0;
  while (is_taken) {
    absl::StatusOr<std::string> bytes = source(kPieceBytes);
    if (!bytes.ok()) {
      call.client_context()->TryCancel();
      writer->Finish();
      return bytes.status();
    }
    if (bytes->empty()) break;
    sent += static_cast<int64_t>(bytes->size());
    piece.set_data(*std::move(bytes));
    is_taken = writer->Write(piece);
    if (sent - reported >= kProgressEveryBytes) {
      reported = sent;
      context.report_progress(absl::StrCat("uploaded ", ByteCount(sent),
                                           size.has_value() ? " of " : "",
                                           size.has_value() ? ByteCount(*size) : ""));
    }
  }
  writer->WritesDone();
  if (const grpc::Status status = writer->Finish(); !status.ok()) return FromGrpcStatus(status);
  return std::move(*response.mutable_file());
}

absl::StatusOr<StoredFile> SendBytes(const Services& services, std::string bytes,
                                     RequestContext& context) {
  size_t at = 0;
  const Source source = [&](size_t most) -> absl::StatusOr<std::string> {
    std::string piece = bytes.substr(at, most);
    at += piece.size();
    return piece;
  };
  return Send(services, static_cast<int64_t>(bytes.size()), source, context);
}

absl::StatusOr<StoredFile> SendFile(const Services& services, const std::string& path,
                                    RequestContext& context) {
  ASSIGN_OR_RETURN(const HostSource file, services.workspace.OpenSource(path));
  if (file.is_directory) {
    return absl::FailedPreconditionError(absl::StrCat(
        "'", path, "' is a directory: upload takes one file at a time; rsync takes directories"));
  }
  struct stat before = {};
  fstat(file.fd.get(), &before);
  const auto has_changed = [&] {
    struct stat now = {};
    return fstat(file.fd.get(), &now) != 0 || now.st_size != before.st_size ||
           now.st_ctim.tv_sec != before.st_ctim.tv_sec ||
           now.st_ctim.tv_nsec != before.st_ctim.tv_nsec;
  };
  // Files that the kernel makes up, such as those of /proc, say that they are empty and are not.
  const std::optional<int64_t> size =
      file.size > 0 ? std::optional<int64_t>(file.size) : std::nullopt;
  int64_t left = file.size;
  const Source source = [&](size_t most) -> absl::StatusOr<std::string> {
    if (size.has_value()) most = std::min(most, static_cast<size_t>(left));
    std::string piece(most, '\0');
    size_t filled = 0;
    while (filled < most) {
      const ssize_t got = read(file.fd.get(), piece.data() + filled, most - filled);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) {
        return absl::FailedPreconditionError(
            absl::ErrnoToStatus(errno, absl::StrCat("cannot read '", path, "'")).message());
      }
      if (got == 0) break;
      filled += static_cast<size_t>(got);
    }
    // What was read of a file that changed meanwhile may be of no version that ever was.
    if (size.has_value() &&
        (filled < most || (most == static_cast<size_t>(left) && has_changed()))) {
      return absl::AbortedError(
          absl::StrCat("'", path, "' changed while it was read: upload it again"));
    }
    piece.resize(filled);
    left -= static_cast<int64_t>(filled);
    return piece;
  };
  return Send(services, size, source, context);
}

absl::StatusOr<ToolOutput> HandleUpload(const json& arguments, RequestContext& context,
                                        const Services& services) {
  if (arguments.size() != 1) {
    std::string given;
    for (const auto& [name, value] : arguments.items()) {
      absl::StrAppend(&given, given.empty() ? "" : " and ", name);
    }
    return absl::InvalidArgumentError(
        absl::StrCat("upload takes exactly one of path, content and content_base64, and got ",
                     given.empty() ? "none of them" : given));
  }
  absl::StatusOr<StoredFile> file;
  if (const auto path = arguments.find("path"); path != arguments.end()) {
    file = SendFile(services, path->get<std::string>(), context);
  } else if (const auto text = arguments.find("content"); text != arguments.end()) {
    file = SendBytes(services, text->get<std::string>(), context);
  } else {
    std::string bytes;
    if (!absl::Base64Unescape(arguments.at("content_base64").get_ref<const std::string&>(),
                              &bytes)) {
      return absl::InvalidArgumentError(
          "content_base64 is not base64: it has A-Z a-z 0-9 + / with = at its end, and no prefix "
          "such as data:; for text use content");
    }
    file = SendBytes(services, std::move(bytes), context);
  }
  RETURN_IF_ERROR(file.status());
  ToolOutput output;
  output.structured["uuid"] = file->uuid();
  output.structured["sha256"] = file->sha256();
  output.structured["size"] = file->size();
  return output;
}

}  // namespace

Tool UploadTool() {
  return {
      .name = "upload",
      .title = "Upload a file",
      // Stores by content: nothing that is there changes.
      .annotations = {.read_only = false,
                      .destructive = false,
                      .idempotent = true,
                      .open_world = false},
      .description = kDescription,
      .input_schema = kInputSchema,
      .output_schema = kOutputSchema,
      .may_wait = true,
      .handler = HandleUpload,
  };
}

}  // namespace contree::gateway
