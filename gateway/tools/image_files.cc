#include "gateway/tools/image_files.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/rpc/grpc_context.h"
#include "common/status/grpc_status.h"
#include "gateway/tools/next_step.h"

namespace contree::gateway {
namespace {

// An answer is held in memory on both sides of the wire, several times over.
constexpr size_t kMaxFileBytes = 10 * 1024 * 1024;
constexpr size_t kMaxEntries = 50'000;

}  // namespace

absl::StatusOr<std::string> ReadImageFile(const Services& services, const std::string& image,
                                          const std::string& path, const CallContext& context) {
  contree::v1::ReadFileRequest request;
  request.set_image(image);
  request.set_path(path);
  OutgoingCall call(context);
  const auto reader = services.contree->ReadFile(call.client_context(), request);
  std::string bytes;
  contree::v1::ReadFileResponse response;
  while (reader->Read(&response)) {
    bytes.append(response.data());
    if (bytes.size() > kMaxFileBytes) {
      call.client_context()->TryCancel();
      reader->Finish();
      return absl::FailedPreconditionError(
          absl::StrCat("file '", path, "' is larger than ", kMaxFileBytes,
                       " bytes, the most that is read at once: search it with grep, read a part of "
                       "it with run and head, tail or sed, or copy it with download"));
    }
  }
  if (const grpc::Status status = reader->Finish(); !status.ok()) {
    return WithNextStep(WithNextStepInImage(FromGrpcStatus(status)),
                        absl::StatusCode::kFailedPrecondition, "list_files lists a directory");
  }
  return bytes;
}

absl::StatusOr<std::vector<contree::v1::FileEntry>> ListImageDirectory(const Services& services,
                                                                       const std::string& image,
                                                                       const std::string& path,
                                                                       const CallContext& context) {
  contree::v1::ListFilesRequest request;
  request.set_image(image);
  request.set_path(path);
  OutgoingCall call(context);
  const auto reader = services.contree->ListFiles(call.client_context(), request);
  std::vector<contree::v1::FileEntry> entries;
  contree::v1::ListFilesResponse response;
  while (reader->Read(&response)) {
    for (auto& entry : *response.mutable_entries()) entries.push_back(std::move(entry));
    if (entries.size() > kMaxEntries) {
      call.client_context()->TryCancel();
      reader->Finish();
      return absl::FailedPreconditionError(
          absl::StrCat("directory '", path, "' has more than ", kMaxEntries,
                       " entries, the most that is listed at once: use run with ls or find and a "
                       "filter"));
    }
  }
  if (const grpc::Status status = reader->Finish(); !status.ok()) {
    return WithNextStep(WithNextStepInImage(FromGrpcStatus(status)),
                        absl::StatusCode::kFailedPrecondition, "read_file reads a file");
  }
  return entries;
}

}  // namespace contree::gateway
