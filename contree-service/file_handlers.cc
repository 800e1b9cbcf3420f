#include "contree-service/file_handlers.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/status/status_macros.h"
#include "contree-service/api/contree_api.h"
#include "contree-service/image_handlers.h"
#include "contree-service/request_checks.h"

namespace contree {
namespace {

constexpr int kEntriesPerMessage = 1000;
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

}  // namespace contree
