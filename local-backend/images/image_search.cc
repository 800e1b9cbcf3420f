#include "local-backend/images/image_search.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <re2/re2.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "common/files/unique_fd.h"
#include "common/status/status_macros.h"
#include "local-backend/images/tree_walk.h"

namespace contree {
namespace {

constexpr int64_t kMaxProgramBytes = 8 * 1024 * 1024;
constexpr size_t kMaxAnswerBytes = 16 * 1024 * 1024;
constexpr size_t kMaxLineBytes = 64 * 1024;  // of a line that is shown; the rest is cut off
constexpr size_t kMaxSubmatches = 1000;      // of one line

// A file's bytes in memory, as long as this lives. The layers of an image do not change.
class MappedFile {
 public:
  static absl::StatusOr<MappedFile> Open(const std::string& path, int64_t size) {
    const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.is_open()) return absl::ErrnoToStatus(errno, "cannot open a file of the image");
    void* bytes = mmap(nullptr, static_cast<size_t>(size), PROT_READ, MAP_PRIVATE | MAP_POPULATE,
                       fd.get(), 0);
    if (bytes == MAP_FAILED) return absl::ErrnoToStatus(errno, "cannot map a file of the image");
    return MappedFile(bytes, static_cast<size_t>(size));
  }
  MappedFile(MappedFile&& other) noexcept
      : bytes_(std::exchange(other.bytes_, nullptr)), size_(other.size_) {}
  MappedFile& operator=(MappedFile&&) = delete;
  ~MappedFile() {
    if (bytes_ != nullptr) munmap(bytes_, size_);
  }
  absl::string_view bytes() const { return {static_cast<const char*>(bytes_), size_}; }

 private:
  MappedFile(void* bytes, size_t size) : bytes_(bytes), size_(size) {}
  void* bytes_;
  size_t size_;
};

re2::StringPiece Piece(absl::string_view text) { return {text.data(), text.size()}; }

bool HasCapitals(absl::string_view pattern) {
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '\\') {
      ++i;  // \W and \S are no capitals
    } else if (absl::ascii_isupper(pattern[i])) {
      return true;
    }
  }
  return false;
}

// Rust writes a named group (?<name>…), RE2 of this age (?P<name>…).
std::string ToRe2(absl::string_view pattern) {
  std::string text;
  for (size_t i = 0; i < pattern.size(); ++i) {
    text.push_back(pattern[i]);
    if (pattern[i] == '\\' && i + 1 < pattern.size()) {
      text.push_back(pattern[++i]);
    } else if (absl::StartsWith(pattern.substr(i), "(?<") && i + 3 < pattern.size() &&
               (absl::ascii_isalpha(pattern[i + 3]) || pattern[i + 3] == '_')) {
      text += "?P";
      ++i;
    }
  }
  return text;
}

absl::StatusOr<std::unique_ptr<RE2>> Compile(const SearchQuery& query) {
  if (query.patterns.empty()) return absl::InvalidArgumentError("pattern is required");
  std::string joined;
  bool capitals = false;
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kMaxProgramBytes);
  options.set_never_nl(false);
  for (const std::string& pattern : query.patterns) {
    const std::string text = ToRe2(pattern);
    const RE2 alone(text, options);
    if (!alone.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the pattern ", pattern, " is no regular expression: ", alone.error()));
    }
    absl::StrAppend(&joined, joined.empty() ? "" : "|", "(?:", text, ")");
    capitals |= HasCapitals(pattern);
  }
  const bool insensitive = query.letters == SearchCase::kInsensitive ||
                           (query.letters == SearchCase::kSmart && !capitals);
  options.set_case_sensitive(!insensitive);
  // Lines are looked at one by one where it matters; ^ and $ mean a line's in both.
  auto expression = std::make_unique<RE2>(absl::StrCat("(?m:", joined, ")"), options);
  if (!expression->ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the patterns together are no regular expression: ", expression->error()));
  }
  return expression;
}

class Globs {
 public:
  explicit Globs(const std::vector<std::string>& globs) : globs_(globs) {
    for (const std::string& glob : globs_) only_named_ |= !absl::StartsWith(glob, "!");
  }

  bool Allow(const std::string& path) const {
    bool allowed = !only_named_;
    for (const std::string& glob : globs_) {
      absl::string_view text = glob;
      const bool excludes = absl::ConsumePrefix(&text, "!");
      if (Matches(std::string(text), path)) allowed = !excludes;
    }
    return allowed;
  }

 private:
  // "*.py" is about names; "src/**/*.py" and "/etc/*" are about paths, "**" for any depth.
  static bool Matches(std::string glob, const std::string& path) {
    if (!absl::StrContains(glob, '/')) {
      const std::string name = path.substr(path.rfind('/') + 1);
      return fnmatch(glob.c_str(), name.c_str(), 0) == 0;
    }
    if (glob.front() == '/') glob.erase(0, 1);
    const int flags = absl::StrContains(glob, "**") ? 0 : FNM_PATHNAME;
    if (fnmatch(absl::StrReplaceAll(glob, {{"**/", "*"}, {"**", "*"}}).c_str(), path.c_str(),
                flags) == 0) {
      return true;
    }
    // Not anchored by a slash in front: at any depth.
    return fnmatch(absl::StrCat("*/", glob).c_str(), path.c_str(), 0) == 0;
  }

  const std::vector<std::string>& globs_;
  bool only_named_ = false;
};

class Search {
 public:
  Search(const SearchQuery& query, const RE2& expression)
      : query_(query), expression_(expression), globs_(query.globs) {}

  // False: the search is over.
  absl::StatusOr<bool> File(const std::string& through, const std::string& path, int64_t size) {
    if (absl::Now() >= query_.deadline) return Over();
    if (size == 0 || !globs_.Allow(path)) return true;
    ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(through, size));
    const absl::string_view bytes = file.bytes();
    if (memchr(bytes.data(), '\0', bytes.size()) != nullptr) return true;
    return Lines(bytes, path);
  }

  SearchResult Take() { return std::move(result_); }

 private:
  bool Over() {
    result_.truncated = true;
    return false;
  }

  static size_t LineEnd(absl::string_view bytes, size_t at) {
    const size_t feed = bytes.find('\n', at);
    return feed == absl::string_view::npos ? bytes.size() : feed + 1;
  }

  bool Lines(absl::string_view bytes, const std::string& path) {
    size_t counted = 0;       // lines before this offset are counted
    int64_t line_number = 1;  // of the line at `counted`
    size_t shown = 0;         // what ends before this offset was shown
    int64_t matches = 0;
    int context_left = 0;
    size_t position = 0;
    while (position < bytes.size()) {
      re2::StringPiece found;
      if (!expression_.Match(Piece(bytes), position, bytes.size(), RE2::UNANCHORED, &found, 1)) {
        break;
      }
      const size_t at = static_cast<size_t>(found.data() - bytes.data());
      if (at >= bytes.size()) break;
      const size_t before = at == 0 ? absl::string_view::npos : bytes.rfind('\n', at - 1);
      const size_t begin = before == absl::string_view::npos ? 0 : before + 1;
      const size_t end = LineEnd(bytes, begin);
      // What spans lines in the file need not be in the line.
      std::vector<SearchSubmatch> submatches = Submatches(bytes.substr(begin, end - begin));
      position = end;
      if (submatches.empty()) continue;
      if (query_.max_count > 0 && matches == query_.max_count) break;
      if (total_ == query_.max_total) return Over();
      After(bytes, path, shown, begin, counted, line_number, context_left);
      Before(bytes, path, shown, begin, counted, line_number);
      Count(bytes, begin, counted, line_number);
      Show(bytes.substr(begin, end - begin), path, line_number, begin, std::move(submatches),
           false);
      shown = end;
      context_left = query_.after;
      ++matches;
      ++total_;
      if (answer_bytes_ > kMaxAnswerBytes) return Over();
      if ((matches & 0xff) == 0 && absl::Now() >= query_.deadline) return Over();
    }
    After(bytes, path, shown, bytes.size(), counted, line_number, context_left);
    return true;
  }

  static void Count(absl::string_view bytes, size_t until, size_t& counted, int64_t& line_number) {
    line_number += std::count(bytes.begin() + static_cast<std::ptrdiff_t>(counted),
                              bytes.begin() + static_cast<std::ptrdiff_t>(until), '\n');
    counted = until;
  }

  // The lines after the last match, as far as they are asked for and before `until`.
  void After(absl::string_view bytes, const std::string& path, size_t& shown, size_t until,
             size_t& counted, int64_t& line_number, int& left) {
    for (; left > 0 && shown < until; --left) {
      const size_t end = LineEnd(bytes, shown);
      Count(bytes, shown, counted, line_number);
      Show(bytes.substr(shown, end - shown), path, line_number, shown, {}, true);
      shown = end;
    }
    left = 0;
  }

  void Before(absl::string_view bytes, const std::string& path, size_t shown, size_t begin,
              size_t& counted, int64_t& line_number) {
    size_t first = begin;
    for (int i = 0; i < query_.before && first > shown; ++i) {
      const size_t feed = first < 2 ? absl::string_view::npos : bytes.rfind('\n', first - 2);
      first = feed == absl::string_view::npos ? 0 : feed + 1;
    }
    for (size_t at = std::max(first, shown); at < begin;) {
      const size_t end = LineEnd(bytes, at);
      Count(bytes, at, counted, line_number);
      Show(bytes.substr(at, end - at), path, line_number, at, {}, true);
      at = end;
    }
  }

  std::vector<SearchSubmatch> Submatches(absl::string_view line) const {
    std::vector<SearchSubmatch> submatches;
    line = absl::StripSuffix(line, "\n");
    for (size_t at = 0; at <= line.size() && submatches.size() < kMaxSubmatches;) {
      re2::StringPiece found;
      if (!expression_.Match(Piece(line), at, line.size(), RE2::UNANCHORED, &found, 1)) break;
      const auto start = static_cast<size_t>(found.data() - line.data());
      submatches.push_back(
          {.text = std::string(found.data(), std::min(found.size(), kMaxLineBytes)),
           .start = start,
           .end = start + found.size()});
      at = start + std::max<size_t>(1, found.size());
    }
    return submatches;
  }

  void Show(absl::string_view text, const std::string& path, int64_t number, size_t offset,
            std::vector<SearchSubmatch> submatches, bool is_context) {
    SearchLine line = {.path = path,
                       .line_number = number,
                       .absolute_offset = static_cast<int64_t>(offset),
                       .text = std::string(text.substr(0, kMaxLineBytes)),
                       .submatches = std::move(submatches),
                       .is_context = is_context};
    answer_bytes_ += line.text.size() + path.size() + 100;
    result_.lines.push_back(std::move(line));
  }

  const SearchQuery& query_;
  const RE2& expression_;
  const Globs globs_;
  SearchResult result_;
  int64_t total_ = 0;
  size_t answer_bytes_ = 0;
};

// "/usr//./lib/" is "usr/lib".
std::string Relative(absl::string_view path) {
  std::string relative;
  for (absl::string_view part : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    if (part != ".") absl::StrAppend(&relative, relative.empty() ? "" : "/", part);
  }
  return relative;
}

}  // namespace

absl::StatusOr<SearchResult> SearchImage(const ImageReader& reader, const SearchQuery& query) {
  ASSIGN_OR_RETURN(const std::unique_ptr<RE2> expression, Compile(query));
  // All of them must be there, before anything is searched.
  std::vector<std::pair<UniqueFd, struct stat>> places;
  for (const std::string& path : query.paths) {
    ASSIGN_OR_RETURN(UniqueFd place, reader.OpenPath(path));
    struct stat info;
    if (fstat(place.get(), &info) != 0) return absl::ErrnoToStatus(errno, "cannot look at a path");
    if (!S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode)) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, " is neither a file nor a directory"));
    }
    places.emplace_back(std::move(place), info);
  }
  Search search(query, *expression);
  for (size_t i = 0; i < places.size(); ++i) {
    const auto& [place, info] = places[i];
    const std::string relative = Relative(query.paths[i]);
    bool go_on = true;
    if (S_ISREG(info.st_mode)) {
      ASSIGN_OR_RETURN(
          go_on, search.File(absl::StrCat("/proc/self/fd/", place.get()), relative, info.st_size));
    } else {
      RETURN_IF_ERROR(
          WalkTree(place.get(), relative, [&](const WalkEntry& entry) -> absl::StatusOr<WalkStep> {
            if (!S_ISREG(entry.info.st_mode)) return WalkStep::kContinue;
            ASSIGN_OR_RETURN(
                go_on, search.File(absl::StrCat("/proc/self/fd/", entry.directory, "/", entry.name),
                                   entry.path, entry.info.st_size));
            return go_on ? WalkStep::kContinue : WalkStep::kStop;
          }));
    }
    if (!go_on) break;
  }
  return search.Take();
}

}  // namespace contree
