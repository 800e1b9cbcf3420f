#include "sync-service/directory_state_handlers.h"

#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "sync-service/sync_checks.h"

namespace contree {
namespace {

constexpr int kFilesPerMessage = 1000;

// Where a directory of the state is in the container, with a slash at its end.
std::string Prefix(const DirectoryState& state, const StateDirectory& directory) {
  return absl::StrCat(state.destination, state.destination == "/" ? "" : "/", directory.path,
                      directory.path.empty() ? "" : "/");
}

absl::Status SyncAgain(absl::string_view id, size_t lacking, absl::string_view example) {
  return absl::FailedPreconditionError(absl::StrCat(
      "the platform no longer has ", lacking, " of the contents of ", id, ", such as ", example,
      ": call rsync again with the same source and destination, and use the "
      "directory_state_id of its result"));
}

}  // namespace

absl::Status DirectoryStateHandlers::GetDirectoryState(
    const sync::v1::GetDirectoryStateRequest& request, const CallContext& context,
    absl::FunctionRef<absl::Status(const sync::v1::GetDirectoryStateResponse&, bool is_last)>
        sink) {
  const std::string& id = request.directory_state_id();
  RETURN_IF_ERROR(CheckDirectoryStateId(id));
  ASSIGN_OR_RETURN(std::string platform, platform_->FindPlatform(context));
  const SyncScope scope = {.tenant = context.tenant, .platform = std::move(platform)};
  ASSIGN_OR_RETURN(const std::optional<DirectoryState> state,
                   states_->Find(scope, id, clock_->Now()));
  if (!state.has_value()) {
    return absl::NotFoundError(
        absl::StrCat("there is no directory state ", id,
                     " (states that nobody uses are kept for 30 days): call rsync again, and use "
                     "the directory_state_id of its result"));
  }
  ASSIGN_OR_RETURN(const Contents contents, ReadContents(scope, *state, id));
  ASSIGN_OR_RETURN(const auto uuids, FindBlobs(scope, *state, contents, request, context));

  sync::v1::GetDirectoryStateResponse response;
  for (size_t d = 0; d < contents.size(); ++d) {
    const std::string prefix = Prefix(*state, state->directories[d]);
    absl::Status status;
    contents[d].ForEach([&](absl::string_view name, uint32_t mode, absl::string_view sha256) {
      sync::v1::StateFile& file = *response.add_files();
      file.set_path(absl::StrCat(prefix, name));
      file.set_file_uuid(uuids.at(sha256));
      file.set_mode(mode);
      if (response.files_size() < kFilesPerMessage) return;
      if (status.ok()) status = sink(response, /*is_last=*/false);
      response.clear_files();
    });
    RETURN_IF_ERROR(status);
  }
  return response.files().empty() ? absl::OkStatus() : sink(response, /*is_last=*/true);
}

absl::StatusOr<DirectoryStateHandlers::Contents> DirectoryStateHandlers::ReadContents(
    const SyncScope& scope, const DirectoryState& state, absl::string_view id) {
  std::vector<std::string> digests;
  digests.reserve(state.directories.size());
  for (const StateDirectory& directory : state.directories) digests.push_back(directory.content);
  Contents contents(digests.size());
  size_t read = 0;
  RETURN_IF_ERROR(
      states_->ReadContents(scope, digests, [&](size_t index, const DirectoryContent& content) {
        contents[index] = content;
        ++read;
        return absl::OkStatus();
      }));
  if (read < digests.size()) {
    return absl::DataLossError(
        absl::StrCat("the directory state ", id, " is not whole in the store: call rsync again"));
  }
  return contents;
}

absl::StatusOr<absl::flat_hash_map<std::string, std::string>> DirectoryStateHandlers::FindBlobs(
    const SyncScope& scope, const DirectoryState& state, const Contents& contents,
    const sync::v1::GetDirectoryStateRequest& request, const CallContext& context) {
  std::vector<std::string> sha256s;
  absl::flat_hash_map<std::string, std::string> uuids;
  for (const DirectoryContent& content : contents) {
    content.ForEach([&](absl::string_view, uint32_t, absl::string_view sha256) {
      if (uuids.try_emplace(sha256).second) sha256s.emplace_back(sha256);
    });
  }
  std::vector<std::string> unknown;
  if (request.verify()) {
    unknown = sha256s;
  } else {
    ASSIGN_OR_RETURN(std::vector<std::string> known, cache_->FindBlobs(scope, sha256s));
    for (size_t i = 0; i < sha256s.size(); ++i) {
      if (known[i].empty()) unknown.push_back(sha256s[i]);
      uuids[sha256s[i]] = std::move(known[i]);
    }
  }
  ASSIGN_OR_RETURN(const std::vector<KnownBlob> found, platform_->Find(unknown, context));
  RETURN_IF_ERROR(cache_->PutBlobs(scope, found, clock_->Now()));
  for (const KnownBlob& blob : found) uuids[blob.sha256] = blob.uuid;

  std::vector<std::string> lacking;
  for (std::string& sha256 : unknown)
    if (uuids[sha256].empty()) lacking.push_back(std::move(sha256));
  if (lacking.empty()) return uuids;
  RETURN_IF_ERROR(cache_->ForgetBlobs(scope, lacking));
  std::string example;
  for (size_t d = 0; d < contents.size(); ++d) {
    contents[d].ForEach([&](absl::string_view name, uint32_t, absl::string_view sha256) {
      if (example.empty() && sha256 == lacking.front())
        example = absl::StrCat(Prefix(state, state.directories[d]), name);
    });
  }
  return SyncAgain(request.directory_state_id(), lacking.size(), example);
}

}  // namespace contree
