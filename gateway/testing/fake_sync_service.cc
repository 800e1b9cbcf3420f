#include "gateway/testing/fake_sync_service.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/files/sha256.h"
#include "gtest/gtest.h"

namespace contree::gateway {

using sync::v1::DirectoryListing;
using sync::v1::SyncRequest;
using sync::v1::SyncResponse;

using Stream = grpc::ServerReaderWriter<SyncResponse, SyncRequest>;
using Number = std::pair<uint32_t, uint32_t>;

// One conversation.
class FakeSyncCall {
 public:
  FakeSyncCall(FakeSyncService& service, Stream& stream) : service_(service), stream_(stream) {}

  grpc::Status Hold() {
    if (!Next() || !request_.has_begin()) return OutOfOrder("begin");
    sync_.begin = request_.begin();
    if (AnswerByDigest()) return grpc::Status::OK;
    SyncResponse need;
    need.mutable_need_directories();
    stream_.Write(need);
    if (grpc::Status status = ReadDirectories(); !status.ok()) return status;
    if (grpc::Status status = ReadListings(); !status.ok()) return status;
    {
      absl::MutexLock lock(&service_.mutex_);
      if (!service_.failure_.ok()) return std::exchange(service_.failure_, grpc::Status::OK);
    }
    AskForHashes();
    while (!to_hash_.empty() || !to_send_.empty()) {
      if (!Next()) return OutOfOrder("hashes or contents");
      grpc::Status status = request_.has_hashed()     ? TakeHashes()
                            : request_.has_contents() ? TakeContents()
                                                      : OutOfOrder("hashes or contents");
      if (!status.ok()) return status;
    }
    Finish();
    EXPECT_FALSE(Next()) << "the walker goes on behind the result";
    return grpc::Status::OK;
  }

 private:
  struct File {
    FileRow row;
    std::string sha256;
    bool gone = false;
  };

  bool Next() {
    if (!stream_.Read(&request_)) return false;
    sync_.largest_message_bytes =
        std::max(sync_.largest_message_bytes, static_cast<int>(request_.ByteSizeLong()));
    return true;
  }

  static grpc::Status OutOfOrder(const std::string& expected) {
    return {grpc::StatusCode::INVALID_ARGUMENT, "expected " + expected};
  }

  std::string TreeKey() const {
    return absl::StrCat(sync_.begin.source(), "|", sync_.begin.view(), "|",
                        sync_.begin.destination(), "|", sync_.begin.tree_digest());
  }

  bool AnswerByDigest() {
    absl::MutexLock lock(&service_.mutex_);
    const auto known = service_.trees_.find(TreeKey());
    if (known == service_.trees_.end()) return false;
    if (known->second.has_young && !sync_.begin.is_watched()) return false;
    SyncResponse response;
    response.mutable_result()->set_directory_state_id(known->second.state_id);
    response.mutable_result()->set_files(known->second.files);
    response.mutable_result()->set_reused_files(known->second.files);
    sync_.was_known = true;
    service_.syncs_.push_back(sync_);
    stream_.Write(response);
    return true;
  }

  grpc::Status ReadDirectories() {
    Sha256 digest;
    do {
      if (!Next() || !request_.has_directories()) return OutOfOrder("directories");
      const auto& directories = request_.directories();
      EXPECT_EQ(directories.first(), paths_.size());
      EXPECT_EQ(directories.digests().size(), static_cast<size_t>(directories.paths_size()) * 32);
      for (int i = 0; i < directories.paths_size(); ++i) {
        EXPECT_TRUE(paths_.empty() || paths_.back() < directories.paths(i));
        paths_.push_back(directories.paths(i));
        digests_.push_back(directories.digests().substr(static_cast<size_t>(i) * 32, 32));
        digest.Update(paths_.back());
        digest.Update(absl::string_view("\0", 1));
        digest.Update(digests_.back());
      }
    } while (!request_.directories().last());
    EXPECT_EQ(digest.Finish(), sync_.begin.tree_digest());
    sync_.directories = static_cast<int>(paths_.size());
    return grpc::Status::OK;
  }

  grpc::Status ReadListings() {
    SyncResponse need;
    need.mutable_need_listings();
    std::set<uint32_t> needed;
    {
      absl::MutexLock lock(&service_.mutex_);
      for (uint32_t i = 0; i < digests_.size(); ++i) {
        if (service_.listings_.contains(digests_[i])) continue;
        needed.insert(i);
        need.mutable_need_listings()->add_directories(i);
      }
    }
    stream_.Write(need);
    do {
      if (!Next() || !request_.has_listings()) return OutOfOrder("listings");
      for (int i = 0; i < request_.listings().directories_size(); ++i) {
        const uint32_t directory = request_.listings().directories(i);
        const std::string& serialized = request_.listings().listings(i);
        EXPECT_EQ(needed.erase(directory), 1U);
        EXPECT_EQ(Sha256Bytes(serialized), digests_[directory]);
        DirectoryListing listing;
        EXPECT_TRUE(listing.ParseFromString(serialized));
        absl::MutexLock lock(&service_.mutex_);
        service_.listings_[digests_[directory]] = listing;
        ++sync_.listings;
      }
    } while (!request_.listings().last());
    EXPECT_TRUE(needed.empty());
    return grpc::Status::OK;
  }

  std::string KnownKey(const Number& number) {
    return absl::StrCat(sync_.begin.source(), "|", PathOf(number));
  }
  std::string PathOf(const Number& number) {
    return JoinTreePath(paths_[number.first], names_[number]);
  }

  void AskForHashes() {
    SyncResponse need;
    need.mutable_need_hash()->set_last(true);
    absl::ReleasableMutexLock lock(&service_.mutex_);
    for (uint32_t i = 0; i < paths_.size(); ++i) {
      TreeDirectory directory;
      directory.listing = service_.listings_.at(digests_[i]);
      const auto names = directory.Names();
      for (uint32_t j = 0; j < names.size(); ++j) {
        const Number number{i, j};
        names_[number] = std::string(names[j]);
        File& file = files_[number];
        file.row = directory.Row(static_cast<int>(j));
        has_young_ |= file.row.is_young;
        const auto known = service_.known_.find(KnownKey(number));
        if (known != service_.known_.end() && known->second.row.HasStatOf(file.row) &&
            !known->second.row.is_young) {
          file.sha256 = known->second.sha256;
          continue;
        }
        to_hash_.insert(number);
        need.mutable_need_hash()->mutable_files()->add_directories(i);
        need.mutable_need_hash()->mutable_files()->add_files(j);
      }
    }
    const auto callback = std::exchange(service_.before_hash_, nullptr);
    lock.Release();
    if (callback != nullptr) callback();
    stream_.Write(need);
  }

  grpc::Status TakeHashes() {
    const auto& hashed = request_.hashed();
    std::map<uint32_t, sync::v1::SyncChangedFile> changed;
    for (const auto& change : hashed.changed()) changed[change.position()] = change;
    SyncResponse need;
    absl::ReleasableMutexLock lock(&service_.mutex_);
    for (int i = 0; i < hashed.files().files_size(); ++i) {
      const Number number{hashed.files().directories(i), hashed.files().files(i)};
      if (to_hash_.erase(number) != 1) return OutOfOrder("a hash that was asked for");
      ++sync_.hashed;
      File& file = files_[number];
      file.sha256 = hashed.sha256s().substr(static_cast<size_t>(i) * 32, 32);
      if (const auto found = changed.find(static_cast<uint32_t>(i)); found != changed.end()) {
        const sync::v1::SyncChangedFile& change = found->second;
        told_changes_ = true;
        file.gone = change.gone();
        if (file.gone) {
          EXPECT_EQ(file.sha256, std::string(32, '\0'));
          continue;
        }
        file.row = {.mode = change.mode(),
                    .size = change.size(),
                    .mtime_ns = change.mtime_ns(),
                    .ctime_ns = change.ctime_ns(),
                    .inode = change.inode(),
                    .is_young = change.young()};
      }
      if (service_.blobs_.contains(file.sha256) || asked_.contains(file.sha256)) continue;
      asked_.insert(file.sha256);
      to_send_.insert(number);
      need.mutable_need_content()->add_directories(number.first);
      need.mutable_need_content()->add_files(number.second);
    }
    const auto callback = need.need_content().files_size() > 0
                              ? std::exchange(service_.before_content_, nullptr)
                              : nullptr;
    lock.Release();
    if (callback != nullptr) callback();
    if (need.need_content().files_size() > 0) stream_.Write(need);
    return grpc::Status::OK;
  }

  grpc::Status TakeContents() {
    size_t bytes = 0;
    for (const sync::v1::SyncContent& content : request_.contents().contents()) {
      const Number number{content.directory(), content.file()};
      if (!to_send_.contains(number)) return OutOfOrder("a content that was asked for");
      EXPECT_LE(content.data().size(), 256U << 10);
      bytes += content.data().size();
      EXPECT_TRUE(current_.empty() || current_.begin()->first == number) << "pieces are mixed";
      std::string& data = current_[number];
      if (content.changed()) {
        current_.erase(number);
        to_send_.erase(number);
        asked_.erase(files_[number].sha256);
        to_hash_.insert(number);
        ++sync_.void_contents;
        continue;
      }
      data += content.data();
      if (!content.last()) continue;
      EXPECT_EQ(Sha256Bytes(data), files_[number].sha256);
      EXPECT_EQ(static_cast<int64_t>(data.size()), files_[number].row.size);
      absl::MutexLock lock(&service_.mutex_);
      service_.blobs_[files_[number].sha256] = std::move(data);
      current_.erase(number);
      to_send_.erase(number);
      uploaded_bytes_ += files_[number].row.size;
      ++sync_.contents;
    }
    EXPECT_LE(bytes, 1U << 20);
    return grpc::Status::OK;
  }

  void Finish() {
    absl::MutexLock lock(&service_.mutex_);
    FakeState state;
    std::string text = sync_.begin.destination();
    for (const auto& [number, file] : files_) {
      if (file.gone) continue;
      service_.known_[KnownKey(number)] = {.row = file.row, .sha256 = file.sha256};
      state[PathOf(number)] = {.content = service_.blobs_.at(file.sha256), .mode = file.row.mode};
      absl::StrAppend(&text, "|", PathOf(number), "|", file.sha256, "|", file.row.mode);
    }
    const std::string id = "ds_" + Sha256Hex(text).substr(0, 16);
    const auto files = static_cast<int64_t>(state.size());
    service_.states_[id] = std::move(state);
    if (!told_changes_) {
      service_.trees_[TreeKey()] = {.state_id = id, .files = files, .has_young = has_young_};
    }
    service_.syncs_.push_back(sync_);
    SyncResponse response;
    response.mutable_result()->set_directory_state_id(id);
    response.mutable_result()->set_files(files);
    response.mutable_result()->set_uploaded_files(sync_.contents);
    response.mutable_result()->set_uploaded_bytes(uploaded_bytes_);
    response.mutable_result()->set_reused_files(files - sync_.contents);
    response.mutable_result()->mutable_duration()->set_nanos(1'500'000);
    stream_.Write(response);
  }

  FakeSyncService& service_;
  Stream& stream_;
  SyncRequest request_;
  FakeSync sync_;
  std::vector<std::string> paths_;
  std::vector<std::string> digests_;
  std::map<Number, std::string> names_;
  std::map<Number, File> files_;
  std::set<Number> to_hash_;
  std::set<Number> to_send_;
  std::set<std::string> asked_;
  std::map<Number, std::string> current_;  // the content that is arriving
  int64_t uploaded_bytes_ = 0;
  bool has_young_ = false;
  bool told_changes_ = false;
};

FakeState FakeSyncService::state(const std::string& directory_state_id) {
  absl::MutexLock lock(&mutex_);
  EXPECT_TRUE(states_.contains(directory_state_id)) << directory_state_id;
  return states_[directory_state_id];
}

std::vector<FakeSync> FakeSyncService::syncs() {
  absl::MutexLock lock(&mutex_);
  return syncs_;
}

void FakeSyncService::BeforeNextHash(std::function<void()> callback) {
  absl::MutexLock lock(&mutex_);
  before_hash_ = std::move(callback);
}

void FakeSyncService::BeforeNextContent(std::function<void()> callback) {
  absl::MutexLock lock(&mutex_);
  before_content_ = std::move(callback);
}

void FakeSyncService::FailNextSync(const grpc::Status& status) {
  absl::MutexLock lock(&mutex_);
  failure_ = status;
}

grpc::Status FakeSyncService::Sync(grpc::ServerContext* /*context*/, Stream* stream) {
  return FakeSyncCall(*this, *stream).Hold();
}

void FakeSyncService::AddState(const std::string& id, const std::vector<sync::v1::StateFile>& files,
                               const std::vector<sync::v1::StateFile>& renewed) {
  absl::MutexLock lock(&mutex_);
  given_states_[id] = {.files = files, .renewed = renewed};
}

void FakeSyncService::LoseFilesOf(const std::string& id) {
  absl::MutexLock lock(&mutex_);
  given_states_[id].lacks_files = true;
}

grpc::Status FakeSyncService::GetDirectoryState(
    grpc::ServerContext* /*context*/, const sync::v1::GetDirectoryStateRequest* request,
    grpc::ServerWriter<sync::v1::GetDirectoryStateResponse>* writer) {
  std::vector<sync::v1::StateFile> files;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = given_states_.find(request->directory_state_id());
    if (found == given_states_.end()) {
      return {grpc::StatusCode::NOT_FOUND,
              absl::StrCat("there is no directory state ", request->directory_state_id())};
    }
    GivenState& state = found->second;
    state.is_verified = state.is_verified || request->verify();
    if (state.is_verified && state.lacks_files)
      return {grpc::StatusCode::FAILED_PRECONDITION, "files are missing: call rsync again"};
    files = state.is_verified && !state.renewed.empty() ? state.renewed : state.files;
  }
  for (const sync::v1::StateFile& file : files) {
    sync::v1::GetDirectoryStateResponse response;
    *response.add_files() = file;
    writer->Write(response);
  }
  return grpc::Status::OK;
}

}  // namespace contree::gateway
