#ifndef SYNC_SERVICE_TESTING_SCRIPTED_WALKER_H_
#define SYNC_SERVICE_TESTING_SCRIPTED_WALKER_H_

// The walker's side of a sync over a tree in memory, which remembers what it was asked for.

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "contree/sync/v1/sync_service.grpc.pb.h"

namespace contree {

struct ScriptedFile {
  std::string content;
  uint32_t mode = 0644;
  int64_t mtime_ns = 1000;
  int64_t ctime_ns = 1000;
  uint64_t inode = 1;
  bool is_young = false;
  int64_t listed_size = -1;  // that of the content, unless it is to be another
};

// By directory ("" is the source itself), then by name.
using ScriptedTree = std::map<std::string, std::map<std::string, ScriptedFile>>;

class ScriptedWalker {
 public:
  explicit ScriptedWalker(sync::v1::SyncService::StubInterface* stub) : stub_(stub) {}

  std::string source = "machine:/home/project";
  std::string view = "";
  std::string destination = "/work";
  bool is_watched = false;
  size_t piece_bytes = 256 << 10;
  // Called before a file ("directory/name") is hashed or its content sent; may change the tree, or
  // erase the file from it. The walker tells what it finds.
  std::function<void(const std::string& path, bool is_sent)> before_reading = nullptr;

  absl::StatusOr<sync::v1::SyncResult> Sync(const ScriptedTree& tree);

  // What the last sync asked for.
  std::vector<std::string> listed;  // directories
  std::vector<std::string> hashed;  // files
  std::vector<std::string> sent;    // files
  bool was_asked_for_directories = false;

 private:
  sync::v1::SyncService::StubInterface* const stub_;
};

std::string SerializedListing(const std::map<std::string, ScriptedFile>& files);
std::string TreeDigest(const ScriptedTree& tree);

}  // namespace contree

#endif  // SYNC_SERVICE_TESTING_SCRIPTED_WALKER_H_
