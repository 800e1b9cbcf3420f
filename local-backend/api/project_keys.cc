#include "local-backend/api/project_keys.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/files/sha256.h"

namespace contree {
namespace {

constexpr size_t kMaxProjectName = 128;

bool IsProjectName(absl::string_view name) {
  if (name.empty() || name.size() > kMaxProjectName) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
  });
}

// The form of a UUID (version 8), of the hash of the hash.
std::string TokenUuid(absl::string_view hash) {
  std::string hex = Sha256Hex(hash).substr(0, 32);
  hex[12] = '8';
  hex[16] = '8';
  return absl::StrCat(hex.substr(0, 8), "-", hex.substr(8, 4), "-", hex.substr(12, 4), "-",
                      hex.substr(16, 4), "-", hex.substr(20));
}

}  // namespace

absl::Status ProjectKeys::Load(absl::string_view text) {
  auto projects = std::make_shared<Projects>();
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = line.substr(0, line.find('#'));
    const std::vector<std::string> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    if (words.empty()) continue;
    // Never the line itself: somebody may have put the token in it.
    if (!IsSha256Hex(words[0]) || words.size() < 2) {
      return absl::InvalidArgumentError(absl::StrCat(
          "line ", number, " of the keys must be SHA256 PROJECT, with the SHA-256 of a ",
          "token as 64 lower-case hexadecimal digits (printf %s TOKEN | sha256sum)"));
    }
    for (size_t i = 1; i < words.size(); ++i) {
      if (IsProjectName(words[i])) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("line ", number, " of the keys: a project is named by letters, digits, - _ ",
                       "and ., at most ", kMaxProjectName, " of them"));
    }
    if (!projects->emplace(words[0], std::vector<std::string>(words.begin() + 1, words.end()))
             .second) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", number, " of the keys: the same token stands in an earlier line"));
    }
  }
  const absl::MutexLock lock(&mutex_);
  projects_ = std::move(projects);
  return absl::OkStatus();
}

absl::StatusOr<ProjectKeys::Access> ProjectKeys::Find(absl::string_view token,
                                                      absl::string_view project) const {
  std::shared_ptr<const Projects> projects;
  {
    const absl::MutexLock lock(&mutex_);
    projects = projects_;
  }
  // By its hash: how long the search takes says nothing about the token.
  const auto found = projects->find(Sha256Hex(token));
  if (found == projects->end()) {
    return absl::UnauthenticatedError("a valid Authorization: Bearer token is required");
  }
  const std::vector<std::string>& reached = found->second;
  if (project.empty()) return Access{TokenUuid(found->first), reached.front()};
  if (std::find(reached.begin(), reached.end(), project) == reached.end()) {
    return absl::PermissionDeniedError(
        absl::StrCat("this token does not reach the project \"", project, "\""));
  }
  return Access{TokenUuid(found->first), std::string(project)};
}

}  // namespace contree
