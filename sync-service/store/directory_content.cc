#include "sync-service/store/directory_content.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/files/sha256.h"

namespace contree {
namespace {

constexpr size_t kSha256Bytes = 32;
constexpr size_t kModeBytes = 2;
constexpr size_t kIdBytes = 16;

absl::string_view TakeName(absl::string_view& names) {
  const size_t end = names.find('\0');
  const absl::string_view name = names.substr(0, end);
  names.remove_prefix(end == absl::string_view::npos ? names.size() : end + 1);
  return name;
}

}  // namespace

void DirectoryContent::Add(absl::string_view name, uint32_t mode, absl::string_view sha256) {
  names_.append(name.data(), name.size());
  names_.push_back('\0');
  modes_.push_back(static_cast<char>(mode & 0xFF));
  modes_.push_back(static_cast<char>((mode >> 8) & 0xFF));
  sha256s_.append(sha256.data(), sha256.size());
}

void DirectoryContent::ForEach(
    absl::FunctionRef<void(absl::string_view name, uint32_t mode, absl::string_view sha256)> each)
    const {
  absl::string_view names = names_;
  for (size_t i = 0; i < size(); ++i) {
    const auto low = static_cast<unsigned char>(modes_[kModeBytes * i]);
    const auto high = static_cast<unsigned char>(modes_[kModeBytes * i + 1]);
    const uint32_t mode = low | (uint32_t{high} << 8);
    each(TakeName(names), mode, absl::string_view(sha256s_).substr(kSha256Bytes * i, kSha256Bytes));
  }
}

bool DirectoryContent::IsWhole() const {
  return modes_.size() == kModeBytes * size() && sha256s_.size() == kSha256Bytes * size() &&
         static_cast<size_t>(std::count(names_.begin(), names_.end(), '\0')) == size();
}

std::string DirectoryContent::Digest() const {
  Sha256 digest;
  // The sizes say where a column ends: the same bytes cut elsewhere are another content.
  digest.Update(absl::StrCat("contree directory content 1\n", size(), " ", names_.size(), "\n"));
  digest.Update(names_);
  digest.Update(modes_);
  digest.Update(sha256s_);
  return digest.Finish();
}

int64_t CountGone(const DirectoryContent& before, const DirectoryContent& after) {
  int64_t gone = 0;
  absl::string_view rest = after.names();
  absl::string_view candidate = rest.empty() ? absl::string_view() : TakeName(rest);
  before.ForEach([&](absl::string_view name, uint32_t, absl::string_view) {
    while (!candidate.empty() && candidate < name) candidate = TakeName(rest);
    if (candidate != name) ++gone;
  });
  return gone;
}

std::string DirectoryStateId(absl::string_view destination,
                             absl::Span<const StateDirectory> directories) {
  Sha256 digest;
  digest.Update("contree directory state 1\n");
  digest.Update(destination);
  digest.Update(absl::string_view("\0", 1));
  for (const StateDirectory& directory : directories) {
    digest.Update(directory.path);
    digest.Update(absl::string_view("\0", 1));
    digest.Update(directory.content);
  }
  return absl::StrCat("ds_", absl::BytesToHexString(digest.Finish().substr(0, kIdBytes)));
}

}  // namespace contree
