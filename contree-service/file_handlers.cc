#include "contree-service/file_handlers.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/status/status_macros.h"
#include "contree-service/api/contree_api.h"
#include "contree-service/image_handlers.h"
#include "contree-service/request_checks.h"

namespace contree {
namespace {

constexpr int kEntriesPerMessage = 1000;
constexpr int kMaxFound = 1000;
// What arrives in small pieces travels on in larger ones.
constexpr size_t kPieceBytes = 256 << 10;

}  // namespace

absl::Status FileHandlers::ListFiles(
    const v1::ListFilesRequest& request, const CallContext& context,
    absl::FunctionRef<absl::Status(const v1::ListFilesResponse&)> sink) {
  ASSIGN_OR_RETURN(const std::string path, CheckPath(request.path()));
  ASSIGN_OR_RETURN(const ContreeApi api, apis_->ApiFor(context));
  ASSIGN_OR_RETURN(const std::string uuid, ResolveImage(api, request.image(), context));
  ASSIGN_OR_RETURN(std::vector<v1::FileEntry> entries, api.ListDirectory(uuid, path, context));
  v1::ListFilesResponse response;
  for (v1::FileEntry& entry : entries) {
    *response.add_entries() = std::move(entry);
    if (response.entries_size() == kEntriesPerMessage) {
      RETURN_IF_ERROR(sink(response));
      response.Clear();
    }
  }
  return response.entries_size() > 0 ? sink(response) : absl::OkStatus();
}

absl::Status FileHandlers::ReadFile(
    const v1::ReadFileRequest& request, const CallContext& context,
    absl::FunctionRef<absl::Status(const v1::ReadFileResponse&)> sink) {
  ASSIGN_OR_RETURN(const std::string path, CheckPath(request.path()));
  ASSIGN_OR_RETURN(const ContreeApi api, apis_->ApiFor(context));
  ASSIGN_OR_RETURN(const std::string uuid, ResolveImage(api, request.image(), context));
  v1::ReadFileResponse response;
  std::string& piece = *response.mutable_data();
  piece.reserve(kPieceBytes);
  RETURN_IF_ERROR(
      api.DownloadFile(uuid, path, context, [&](absl::string_view bytes) -> absl::Status {
        while (!bytes.empty()) {
          const size_t taken = std::min(bytes.size(), kPieceBytes - piece.size());
          piece.append(bytes.data(), taken);
          bytes.remove_prefix(taken);
          if (piece.size() < kPieceBytes) break;
          RETURN_IF_ERROR(sink(response));
          piece.clear();
        }
        return absl::OkStatus();
      }));
  return piece.empty() ? absl::OkStatus() : sink(response);
}

absl::StatusOr<v1::FindFilesResponse> FileHandlers::FindFiles(const v1::FindFilesRequest& request,
                                                              const CallContext& context) {
  if (request.sha256_size() > kMaxFound) {
    return absl::InvalidArgumentError(
        absl::StrCat("sha256 holds ", request.sha256_size(), " hashes: give at most ", kMaxFound));
  }
  for (const std::string& sha256 : request.sha256()) RETURN_IF_ERROR(CheckSha256(sha256));
  ASSIGN_OR_RETURN(const ContreeApi api, apis_->ApiFor(context));
  v1::FindFilesResponse response;
  for (const std::string& sha256 : request.sha256()) {
    ASSIGN_OR_RETURN(std::optional<v1::StoredFile> file, api.FindFile(sha256, context));
    if (file.has_value()) *response.add_files() = *std::move(file);
  }
  return response;
}

absl::StatusOr<v1::UploadFileResponse> FileHandlers::UploadFile(
    const std::function<absl::StatusOr<std::optional<v1::UploadFileRequest>>()>& next,
    const CallContext& context) {
  ASSIGN_OR_RETURN(const std::optional<v1::UploadFileRequest> first, next());
  if (!first.has_value() || !first->has_header()) {
    return absl::InvalidArgumentError("the first message of an upload must be its header");
  }
  const v1::UploadFileHeader& header = first->header();
  if (!header.sha256().empty()) RETURN_IF_ERROR(CheckSha256(header.sha256()));
  if (header.size() < 0) return absl::InvalidArgumentError("size is negative");
  const std::optional<size_t> size =
      header.has_size() ? std::optional<size_t>(static_cast<size_t>(header.size())) : std::nullopt;
  ASSIGN_OR_RETURN(const ContreeApi api, apis_->ApiFor(context));
  const auto next_piece = [&next]() -> absl::StatusOr<std::string> {
    while (true) {
      ASSIGN_OR_RETURN(std::optional<v1::UploadFileRequest> message, next());
      if (!message.has_value()) return std::string();
      if (!message->has_data())
        return absl::InvalidArgumentError("an upload has one header, at its beginning");
      // An empty piece would end the body.
      if (!message->data().empty()) return std::move(*message->mutable_data());
    }
  };
  v1::UploadFileResponse response;
  ASSIGN_OR_RETURN(*response.mutable_file(), api.UploadFile(size, next_piece, context));
  if (!header.sha256().empty() && response.file().sha256() != header.sha256()) {
    return absl::DataLossError(absl::StrCat("the platform stored data with SHA-256 ",
                                            response.file().sha256(), ", not ", header.sha256(),
                                            " as was said; upload it again"));
  }
  return response;
}

}  // namespace contree
