#include "sync-service/testing/scripted_walker.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/files/sha256.h"
#include "common/rpc/grpc_context.h"
#include "common/status/grpc_status.h"

namespace contree {
namespace {

using sync::v1::SyncRequest;
using sync::v1::SyncResponse;

int64_t SizeOf(const ScriptedFile& file) {
  return file.listed_size >= 0 ? file.listed_size : static_cast<int64_t>(file.content.size());
}

// One conversation. The tree is a copy that `before_reading` does not see: files are found by name.
class Conversation {
 public:
  Conversation(ScriptedWalker& walker, const ScriptedTree& tree,
               sync::v1::SyncService::StubInterface* stub)
      : walker_(walker), tree_(tree), call_(NewCallContext(absl::Seconds(60))) {
    for (const auto& [path, files] : tree) {
      if (files.empty()) continue;
      paths_.push_back(path);
      std::vector<std::pair<std::string, ScriptedFile>> listed(files.begin(), files.end());
      files_.push_back(std::move(listed));
    }
    stream_ = stub->Sync(call_.client_context());
  }

  absl::StatusOr<sync::v1::SyncResult> Run() {
    SyncRequest request;
    sync::v1::SyncBegin& begin = *request.mutable_begin();
    begin.set_source(walker_.source);
    begin.set_view(walker_.view);
    begin.set_destination(walker_.destination);
    begin.set_tree_digest(TreeDigest(tree_));
    begin.set_is_watched(walker_.is_watched);
    stream_->Write(request);
    SyncResponse response;
    absl::StatusOr<sync::v1::SyncResult> result =
        absl::InternalError("the stream ended without a result");
    while (stream_->Read(&response)) {
      if (response.has_result()) result = response.result();
      if (response.has_need_directories()) SendDirectories();
      if (response.has_need_listings()) SendListings(response.need_listings());
      if (response.has_need_hash()) Hash(response.need_hash().files());
      if (response.has_need_content()) SendContents(response.need_content());
    }
    if (const grpc::Status status = stream_->Finish(); !status.ok()) return FromGrpcStatus(status);
    return result;
  }

 private:
  std::string PathOf(uint32_t directory, uint32_t file) const {
    const std::string& path = paths_[directory];
    return absl::StrCat(path, path.empty() ? "" : "/", files_[directory][file].first);
  }
  // As it is now; null: it is gone.
  const ScriptedFile* Now(uint32_t directory, uint32_t file) const {
    const auto in = tree_.find(paths_[directory]);
    if (in == tree_.end()) return nullptr;
    const auto found = in->second.find(files_[directory][file].first);
    return found == in->second.end() ? nullptr : &found->second;
  }
  static bool IsSame(const ScriptedFile& a, const ScriptedFile& b) {
    return a.mode == b.mode && a.mtime_ns == b.mtime_ns && a.ctime_ns == b.ctime_ns &&
           a.inode == b.inode && SizeOf(a) == SizeOf(b);
  }

  void SendDirectories() {
    walker_.was_asked_for_directories = true;
    SyncRequest request;
    sync::v1::SyncDirectories* message = request.mutable_directories();
    for (size_t d = 0; d < paths_.size(); ++d) {
      message->add_paths(paths_[d]);
      message->mutable_digests()->append(Sha256Bytes(SerializedListing(tree_.at(paths_[d]))));
      if (message->paths_size() < 2) continue;  // batches
      stream_->Write(request);
      message->Clear();
      message->set_first(static_cast<uint32_t>(d + 1));
    }
    message->set_last(true);
    stream_->Write(request);
  }

  void SendListings(const sync::v1::NeedListings& needed) {
    SyncRequest request;
    for (const uint32_t directory : needed.directories()) {
      walker_.listed.push_back(paths_[directory]);
      request.mutable_listings()->add_directories(directory);
      request.mutable_listings()->add_listings(SerializedListing(tree_.at(paths_[directory])));
      stream_->Write(request);
      request.Clear();
    }
    request.mutable_listings()->set_last(true);
    stream_->Write(request);
  }

  void HashOne(uint32_t directory, uint32_t file, sync::v1::SyncHashes& message) {
    const std::string path = PathOf(directory, file);
    walker_.hashed.push_back(path);
    if (walker_.before_reading != nullptr) walker_.before_reading(path, false);
    const ScriptedFile* now = Now(directory, file);
    ScriptedFile& listed = files_[directory][file].second;
    message.mutable_files()->add_directories(directory);
    message.mutable_files()->add_files(file);
    message.mutable_sha256s()->append(now == nullptr ? std::string(32, '\0')
                                                     : Sha256Bytes(now->content));
    if (now != nullptr && IsSame(*now, listed)) return;
    sync::v1::SyncChangedFile& changed = *message.add_changed();
    changed.set_position(static_cast<uint32_t>(message.files().files_size() - 1));
    changed.set_gone(now == nullptr);
    if (now == nullptr) return;
    changed.set_mode(now->mode);
    changed.set_size(SizeOf(*now));
    changed.set_mtime_ns(now->mtime_ns);
    changed.set_ctime_ns(now->ctime_ns);
    changed.set_inode(now->inode);
    changed.set_young(now->is_young);
    listed = *now;
  }

  void Hash(const sync::v1::SyncFiles& files) {
    if (files.files().empty()) return;
    SyncRequest request;
    for (int i = 0; i < files.files_size(); ++i)
      HashOne(files.directories(i), files.files(i), *request.mutable_hashed());
    stream_->Write(request);
  }

  void SendContents(const sync::v1::SyncFiles& files) {
    for (int i = 0; i < files.files_size(); ++i) {
      const uint32_t directory = files.directories(i);
      const uint32_t file = files.files(i);
      const std::string path = PathOf(directory, file);
      walker_.sent.push_back(path);
      const std::string before = files_[directory][file].second.content;
      SyncRequest request;
      sync::v1::SyncContent* content = request.mutable_contents()->add_contents();
      content->set_directory(directory);
      content->set_file(file);
      size_t at = 0;
      // The first piece is of what was hashed, so that a change comes in the middle.
      if (before.size() > walker_.piece_bytes) {
        content->set_data(before.substr(0, walker_.piece_bytes));
        stream_->Write(request);
        at = walker_.piece_bytes;
      }
      if (walker_.before_reading != nullptr) walker_.before_reading(path, true);
      const ScriptedFile* now = Now(directory, file);
      if (now == nullptr || !IsSame(*now, files_[directory][file].second)) {
        content->clear_data();
        content->set_changed(true);
        stream_->Write(request);
        SyncRequest again;
        HashOne(directory, file, *again.mutable_hashed());
        stream_->Write(again);
        continue;
      }
      do {
        content->set_data(now->content.substr(at, walker_.piece_bytes));
        at += content->data().size();
        content->set_last(at == now->content.size());
        stream_->Write(request);
      } while (at < now->content.size());
    }
  }

  ScriptedWalker& walker_;
  const ScriptedTree& tree_;
  OutgoingCall call_;
  std::vector<std::string> paths_;
  std::vector<std::vector<std::pair<std::string, ScriptedFile>>> files_;  // as they were told last
  std::unique_ptr<grpc::ClientReaderWriterInterface<SyncRequest, SyncResponse>> stream_;
};

}  // namespace

std::string SerializedListing(const std::map<std::string, ScriptedFile>& files) {
  sync::v1::DirectoryListing listing;
  for (const auto& [name, file] : files) {
    if (file.is_young) listing.add_young(static_cast<uint32_t>(listing.sizes_size()));
    absl::StrAppend(listing.mutable_names(), name, absl::string_view("\0", 1));
    listing.add_modes(file.mode);
    listing.add_sizes(SizeOf(file));
    listing.add_mtimes_ns(file.mtime_ns);
    listing.add_ctimes_ns(file.ctime_ns);
    listing.add_inodes(file.inode);
  }
  return listing.SerializeAsString();
}

std::string TreeDigest(const ScriptedTree& tree) {
  Sha256 digest;
  for (const auto& [path, files] : tree) {
    if (files.empty()) continue;
    digest.Update(path);
    digest.Update(absl::string_view("\0", 1));
    digest.Update(Sha256Bytes(SerializedListing(files)));
  }
  return digest.Finish();
}

absl::StatusOr<sync::v1::SyncResult> ScriptedWalker::Sync(const ScriptedTree& tree) {
  listed.clear();
  hashed.clear();
  sent.clear();
  was_asked_for_directories = false;
  return Conversation(*this, tree, stub_).Run();
}

}  // namespace contree
