#include "sync-service/sync_checks.h"

#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/status/status_macros.h"
#include "common/text/utf8.h"
#include "sync-service/checked_listing.h"

namespace contree {
namespace {

constexpr size_t kDigestBytes = 32;
constexpr size_t kMaxPathBytes = 4095;
constexpr size_t kMaxSourceBytes = 8192;
constexpr size_t kMaxShownBytes = 200;
constexpr size_t kIdDigits = 32;

std::string Shown(absl::string_view text) {
  return absl::StrCat("'", absl::CHexEscape(text.substr(0, kMaxShownBytes)), "'");
}

absl::Status CheckKey(absl::string_view field, absl::string_view value) {
  if (value.size() <= kMaxSourceBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(field, " has ", value.size(), " bytes: at most ",
                                                 kMaxSourceBytes, " are taken"));
}

absl::Status CheckNames(absl::string_view path) {
  while (true) {
    const size_t slash = path.find('/');
    RETURN_IF_ERROR(CheckName(path.substr(0, slash)));
    if (slash == absl::string_view::npos) return absl::OkStatus();
    path.remove_prefix(slash + 1);
  }
}

}  // namespace

absl::Status CheckBegin(const sync::v1::SyncBegin& begin) {
  if (begin.source().empty())
    return absl::InvalidArgumentError("source is empty: name the directory and its machine");
  RETURN_IF_ERROR(CheckKey("source", begin.source()));
  RETURN_IF_ERROR(CheckKey("view", begin.view()));
  absl::string_view destination = begin.destination();
  const bool is_clean = destination.size() <= kMaxPathBytes &&
                        absl::ConsumePrefix(&destination, "/") &&
                        (destination.empty() || CheckNames(destination).ok());
  if (!is_clean) {
    return absl::InvalidArgumentError(
        absl::StrCat("destination ", Shown(begin.destination()),
                     " is not valid: give an absolute path in the container, such as /work, "
                     "without . or .. and without a slash at its end"));
  }
  if (begin.tree_digest().size() != kDigestBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("tree_digest has ", begin.tree_digest().size(), " bytes, not 32"));
  }
  return absl::OkStatus();
}

absl::Status CheckDirectoryPath(absl::string_view path) {
  if (path.empty() || (path.size() <= kMaxPathBytes && CheckNames(path).ok()))
    return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the directory ", Shown(path),
                   " is not valid: a path has at most 4095 bytes of UTF-8, is relative and without "
                   ". and .."));
}

absl::Status CheckDirectoryStateId(absl::string_view id) {
  absl::string_view digits = id;
  if (absl::ConsumePrefix(&digits, "ds_") && digits.size() == kIdDigits &&
      std::all_of(digits.begin(), digits.end(), [](unsigned char c) {
        return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f');
      })) {
    return absl::OkStatus();
  }
  return absl::NotFoundError(absl::StrCat(
      "there is no directory state ", Shown(id),
      ": an id begins with ds_ and comes from rsync, as directory_state_id of its result"));
}

}  // namespace contree
