// rsync: a directory of this machine onto the platform, moving only what the platform lacks.

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "common/files/sha256.h"
#include "common/status/status_macros.h"
#include "common/text/utf8.h"
#include "gateway/sync/ignore_pattern.h"
#include "gateway/sync/sync_activities.h"
#include "gateway/sync/sync_conversation.h"
#include "gateway/sync/synced_trees.h"
#include "gateway/sync/tree.h"
#include "gateway/sync/tree_walk.h"
#include "gateway/tools/byte_count.h"
#include "gateway/tools/reconnect_pacer.h"
#include "gateway/tools/sync_service_stub.h"
#include "gateway/tools/tool.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// A large tree over a slow line.
constexpr absl::Duration kTimeout = absl::Hours(1);
constexpr size_t kMaxDestinationBytes = 4096;

constexpr char kDescription[] =
    R"(Bring a directory (or one file) of the machine that this server runs on to the platform. Free. Only content that the platform lacks is sent, so calling it again after an edit takes a moment: do it before each run that needs the current files. Returns a directory_state_id; give it to run, which puts the files into its sandbox below destination before the command starts. An id stands for the files as they were: after an edit, rsync again and use the new id. Leave out what the command does not need with exclude (.git/, node_modules/, build output). The platform takes regular files with their permission bits; a symbolic link to a file of the tree is carried as a copy of that file; empty directories, links to directories, sockets and the like cannot be carried, and not_carried tells them.)";

constexpr char kInputSchema[] = R"({
  "type": "object",
  "required": ["source", "destination"],
  "properties": {
    "source": {"type": "string", "minLength": 1, "description": "Directory or file on the machine that this server runs on. Absolute, relative to where the server was started, or ~/…"},
    "destination": {"type": "string", "minLength": 1, "description": "Absolute path in the sandbox: of the directory, whatever the source's name. Of a single file: its own path, or with a slash at the end the directory that it goes into."},
    "exclude": {"type": "array", "items": {"type": "string"}, "default": [], "description": "What to leave out, as lines of a .gitignore: a name matches at any depth (__pycache__), a slash at the end means directories only (node_modules/), a slash before it a path from the source (/dist, docs/*.pdf); * ? [a-z] ** as usual; ! takes back, the last match decides."}
  }
})";

constexpr char kOutputSchema[] = R"({
  "type": "object",
  "required": ["directory_state_id", "files", "bytes", "uploaded_files", "uploaded_bytes", "reused_files", "deleted_files", "links_copied", "not_carried", "duration_seconds"],
  "properties": {
    "directory_state_id": {"type": "string", "description": "For run. The same files and destination give the same id."},
    "files": {"type": "integer", "description": "In the state."},
    "bytes": {"type": "integer", "description": "Of these files together."},
    "uploaded_files": {"type": "integer", "description": "Sent by this call."},
    "uploaded_bytes": {"type": "integer"},
    "reused_files": {"type": "integer", "description": "Known to the platform already."},
    "deleted_files": {"type": "integer", "description": "In the state before, of the same source and destination, and no longer."},
    "links_copied": {"type": "integer", "description": "Symbolic links that are carried as copies of the files they lead to."},
    "not_carried": {
      "type": "array",
      "description": "What the source holds besides, and why it is not in the state; empty: nothing.",
      "items": {
        "type": "object",
        "required": ["what", "count", "paths"],
        "properties": {
          "what": {"type": "string"},
          "count": {"type": "integer"},
          "paths": {"type": "array", "items": {"type": "string"}, "description": "The first ones, relative to the source."}
        }
      }
    },
    "duration_seconds": {"type": "number"}
  }
})";

struct Destination {
  std::string path;  // clean, without a slash at the end unless it is "/"
  bool is_into = false;
};

absl::StatusOr<Destination> ParseDestination(const std::string& text) {
  if (text[0] != '/') {
    return absl::InvalidArgumentError(
        absl::StrCat("destination '", text.substr(0, 300),
                     "' is not absolute: it is a path in the sandbox, such as /app or /work/src"));
  }
  if (text.size() > kMaxDestinationBytes || !IsUtf8(text) ||
      absl::StrContains(text, absl::string_view("\0", 1))) {
    return absl::InvalidArgumentError(
        absl::StrCat("destination is no path: it is UTF-8, without "
                     "NUL, and has at most ",
                     kMaxDestinationBytes, " bytes"));
  }
  std::vector<std::string> parts;
  for (const absl::string_view part : absl::StrSplit(text, '/')) {
    if (part == "..") {
      return absl::InvalidArgumentError(absl::StrCat(
          "destination '", text.substr(0, 300), "' has .. in it: give the path that is meant"));
    }
    if (!part.empty() && part != ".") parts.emplace_back(part);
  }
  return Destination{.path = absl::StrCat("/", absl::StrJoin(parts, "/")),
                     .is_into = absl::EndsWith(text, "/")};
}

std::string ProgressText(const SyncProgress& progress) {
  std::string text = absl::StrCat("read ", progress.files_hashed, " of ", progress.files_to_hash,
                                  " files (", ByteCount(progress.bytes_hashed), " of ",
                                  ByteCount(progress.bytes_to_hash), ")");
  if (progress.files_to_send > 0) {
    absl::StrAppend(&text, ", uploaded ", progress.files_sent, " of ", progress.files_to_send, " (",
                    ByteCount(progress.bytes_sent), " of ", ByteCount(progress.bytes_to_send), ")");
  }
  return text;
}

ordered_json NotCarried(const Omissions& omissions) {
  ordered_json list = ordered_json::array();
  for (const auto& [omission, named] : omissions.all()) {
    list.push_back(
        {{"what", OmissionText(omission)}, {"count", named.count}, {"paths", named.paths}});
  }
  return list;
}

absl::StatusOr<ToolOutput> HandleRsync(const json& arguments, RequestContext& context,
                                       const Services& services) {
  const absl::Time start = absl::Now();
  ASSIGN_OR_RETURN(sync::v1::SyncService::StubInterface* const sync, SyncServiceStub(services));
  ASSIGN_OR_RETURN(Destination destination,
                   ParseDestination(arguments.at("destination").get<std::string>()));
  const auto exclude = arguments.at("exclude").get<std::vector<std::string>>();
  ASSIGN_OR_RETURN(const IgnorePatterns patterns, IgnorePatterns::Parse(exclude));
  ASSIGN_OR_RETURN(HostSource source,
                   services.workspace.OpenSource(arguments.at("source").get<std::string>()));
  ASSIGN_OR_RETURN(const std::shared_ptr<const TreeRoot> root, TreeRoot::Of(std::move(source)));

  const std::unique_ptr<SyncActivities::Ongoing> activity =
      services.syncs->Begin(context.call, arguments.at("source").get<std::string>(),
                            arguments.at("destination").get<std::string>(), start);
  SyncTarget target;
  target.source = absl::StrCat(MachineName(), ":", root->path);
  std::shared_ptr<WatchedTree> watched;
  TreeLook look;
  if (root->is_directory) {
    if (!exclude.empty()) target.view = Sha256Hex(patterns.key());
    target.destination = destination.path;
    watched = services.trees->Find(context.call.tenant, root, patterns);
    ASSIGN_OR_RETURN(look, watched->Look(context.call.stop));
    target.is_watched = look.is_watched;
  } else {
    if (destination.is_into || destination.path == "/") {
      destination.path = absl::StrCat(destination.path == "/" ? "" : destination.path, "/",
                                      root->path.substr(root->path.rfind('/') + 1));
    }
    const size_t slash = destination.path.rfind('/');
    target.destination = slash == 0 ? "/" : destination.path.substr(0, slash);
    const std::string name = destination.path.substr(slash + 1);
    target.view = absl::StrCat("file:", name);
    ASSIGN_OR_RETURN(const auto directory, WalkFile(*root, name));
    look.tree = MakeTree(root, {directory});
  }

  context.call.deadline = std::min(context.call.deadline, start + kTimeout);
  const auto hold = [&] {
    return HoldSyncConversation(*sync, *look.tree, target, context.call,
                                [&context, &activity](const SyncProgress& progress) {
                                  activity->Report(progress);
                                  context.report_progress(ProgressText(progress));
                                });
  };
  absl::StatusOr<SyncOutcome> held = hold();
  // A conversation that a restart of the service broke off begins anew, with what arrived known.
  if (ReconnectPacer pacer(*services.clock); pacer.WaitAfter(held.status(), context.call)) {
    held = hold();
  }
  activity->End(held.ok() ? absl::StatusOr<sync::v1::SyncResult>(held->result) : held.status(),
                absl::Now());
  ASSIGN_OR_RETURN(const SyncOutcome outcome, std::move(held));
  if (watched != nullptr && !outcome.told_changes) watched->Settle(look);

  Omissions omissions = look.tree->omissions;
  omissions.Merge(outcome.omissions);
  const sync::v1::SyncResult& result = outcome.result;
  ToolOutput output;
  output.structured["directory_state_id"] = result.directory_state_id();
  output.structured["files"] = result.files();
  output.structured["bytes"] = result.bytes();
  output.structured["uploaded_files"] = result.uploaded_files();
  output.structured["uploaded_bytes"] = result.uploaded_bytes();
  output.structured["reused_files"] = result.reused_files();
  output.structured["deleted_files"] = result.deleted_files();
  output.structured["links_copied"] = look.tree->links;
  output.structured["not_carried"] = NotCarried(omissions);
  output.structured["duration_seconds"] = absl::ToDoubleSeconds(absl::Now() - start);
  return output;
}

}  // namespace

Tool RsyncTool() {
  return {
      .name = "rsync",
      .title = "Sync a directory",
      // Stores by content: nothing that is there changes.
      .annotations = {.read_only = false,
                      .destructive = false,
                      .idempotent = true,
                      .open_world = false},
      .description = kDescription,
      .input_schema = kInputSchema,
      .output_schema = kOutputSchema,
      .may_wait = true,
      .handler = HandleRsync,
  };
}

}  // namespace contree::gateway
