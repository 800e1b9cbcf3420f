#include "gateway/sync/ignore_pattern.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/status/status_context.h"
#include "common/status/status_macros.h"

namespace contree::gateway {
namespace {

constexpr size_t kMaxPatternBytes = 4096;
constexpr size_t kMaxPatterns = 200;

using ByteSet = std::bitset<256>;

// As C's locale has them, like git, whatever the process's locale is.
absl::StatusOr<ByteSet> ClassOf(absl::string_view name) {
  static constexpr struct {
    absl::string_view name;
    int (*contains)(int);
  } kClasses[] = {{"alnum", isalnum}, {"alpha", isalpha}, {"blank", isblank}, {"cntrl", iscntrl},
                  {"digit", isdigit}, {"graph", isgraph}, {"lower", islower}, {"print", isprint},
                  {"punct", ispunct}, {"space", isspace}, {"upper", isupper}, {"xdigit", isxdigit}};
  for (const auto& known : kClasses) {
    if (known.name != name) continue;
    ByteSet set;
    for (int byte = 0; byte < 128; ++byte)
      set[static_cast<size_t>(byte)] = known.contains(byte) != 0;
    return set;
  }
  return absl::InvalidArgumentError(absl::StrCat("there is no character class [:", name, ":]"));
}

// Spaces at the end do not count, unless a backslash stands before them.
absl::string_view WithoutTrailingSpaces(absl::string_view text) {
  size_t end = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      i = std::min(i + 1, text.size() - 1);
      end = i + 1;
    } else if (text[i] != ' ') {
      end = i + 1;
    }
  }
  return text.substr(0, end);
}

}  // namespace

absl::StatusOr<IgnorePattern> IgnorePattern::Parse(absl::string_view text) {
  if (text.size() > kMaxPatternBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("it is longer than ", kMaxPatternBytes, " bytes"));
  }
  if (absl::StartsWith(text, "#")) {
    return absl::InvalidArgumentError("it is a comment; write \\# for a name that begins with #");
  }
  text = WithoutTrailingSpaces(text);
  IgnorePattern pattern;
  pattern.is_negated_ = absl::ConsumePrefix(&text, "!");
  pattern.directories_only_ = absl::ConsumeSuffix(&text, "/");
  if (text.empty()) return absl::InvalidArgumentError("it names nothing");
  pattern.by_name_ = !absl::StrContains(text, "/");
  absl::ConsumePrefix(&text, "/");
  RETURN_IF_ERROR(pattern.Compile(text));
  return pattern;
}

absl::Status IgnorePattern::Compile(absl::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    if (byte == '\\') {
      if (++i == text.size()) return absl::InvalidArgumentError("it ends with a lone backslash");
      steps_.push_back({Kind::kByte, static_cast<uint8_t>(text[i])});
    } else if (byte == '?') {
      steps_.push_back({Kind::kAny, 0});
    } else if (byte == '[') {
      ASSIGN_OR_RETURN(const size_t size, CompileSet(text.substr(i)));
      i += size - 1;
    } else if (byte == '*') {
      size_t end = i;
      while (end < text.size() && text[end] == '*') ++end;
      const bool between_slashes = end - i >= 2 && (i == 0 || text[i - 1] == '/') &&
                                   (end == text.size() || text[end] == '/');
      if (!between_slashes) {
        steps_.push_back({Kind::kStar, 0});
      } else if (end == text.size()) {
        steps_.push_back({Kind::kEverything, 0});
      } else {
        steps_.push_back({Kind::kDirectories, 0});
        steps_.push_back({Kind::kInDirectories, 0});
        ++end;  // the slash belongs to it
      }
      i = end - 1;
    } else {
      steps_.push_back({Kind::kByte, byte});
    }
  }
  size_t literal_from = 0;
  if (by_name_ && !steps_.empty() && steps_[0].kind == Kind::kStar) literal_from = 1;
  for (size_t i = literal_from; i < steps_.size(); ++i) {
    if (steps_[i].kind != Kind::kByte) return absl::OkStatus();
    literal_.push_back(static_cast<char>(steps_[i].operand));
  }
  (literal_from == 0 ? is_literal_ : is_star_then_literal_) = true;
  return absl::OkStatus();
}

absl::StatusOr<size_t> IgnorePattern::CompileSet(absl::string_view text) {
  const auto unfinished =
      absl::InvalidArgumentError("a '[' has no ']' behind it; write \\[ for a bracket");
  ByteSet set;
  size_t i = 1;
  const bool is_complement = i < text.size() && (text[i] == '!' || text[i] == '^');
  if (is_complement) ++i;
  int previous = -1;  // what a range may begin with
  for (bool is_first = true; is_first || i >= text.size() || text[i] != ']'; is_first = false) {
    if (i >= text.size()) return unfinished;
    auto byte = static_cast<uint8_t>(text[i]);
    if (byte == '-' && previous >= 0 && i + 1 < text.size() && text[i + 1] != ']') {
      ++i;
      if (text[i] == '\\' && ++i == text.size()) return unfinished;
      const int last = static_cast<uint8_t>(text[i]);
      for (int each = previous; each <= last; ++each) set.set(static_cast<size_t>(each));
      previous = -1;
      ++i;
      continue;
    }
    if (byte == '[' && i + 1 < text.size() && text[i + 1] == ':') {
      const size_t end = text.find(']', i + 2);
      if (end == absl::string_view::npos) return unfinished;
      if (end > i + 2 && text[end - 1] == ':') {
        ASSIGN_OR_RETURN(const ByteSet named, ClassOf(text.substr(i + 2, end - i - 3)));
        set |= named;
        previous = -1;
        i = end + 1;
        continue;
      }
    }
    if (byte == '\\') {
      if (++i == text.size()) return unfinished;
      byte = static_cast<uint8_t>(text[i]);
    }
    set.set(byte);
    previous = byte;
    ++i;
  }
  if (is_complement) set.flip();
  set.reset('/');
  if (sets_.size() > UINT8_MAX) return absl::InvalidArgumentError("it has more than 256 brackets");
  steps_.push_back({Kind::kSet, static_cast<uint8_t>(sets_.size())});
  sets_.push_back(set);
  return i + 1;
}

bool IgnorePattern::Matches(absl::string_view path, absl::string_view name,
                            bool is_directory) const {
  if (directories_only_ && !is_directory) return false;
  const absl::string_view text = by_name_ ? name : path;
  if (is_literal_) return text == literal_;
  if (is_star_then_literal_) return absl::EndsWith(text, literal_);
  return MatchesSteps(text);
}

bool IgnorePattern::Accepts(const Step& step, unsigned char byte) const {
  switch (step.kind) {
    case Kind::kByte:
      return byte == step.operand;
    case Kind::kSet:
      return sets_[step.operand][byte];
    case Kind::kAny:
      return byte != '/';
    default:
      return false;
  }
}

// Keeps the set of steps that could be next, one byte after the other.
bool IgnorePattern::MatchesSteps(absl::string_view text) const {
  std::vector<bool> now(steps_.size() + 1);
  std::vector<bool> then(steps_.size() + 1);
  // Adds step `i` and all that may be next without reading a byte.
  const auto add = [this](std::vector<bool>& set, size_t i) {
    while (!set[i]) {
      set[i] = true;
      if (i == steps_.size()) return;
      const Kind kind = steps_[i].kind;
      if (kind == Kind::kDirectories) {
        set[i + 1] = true;
        i += 2;
      } else if (kind == Kind::kStar || kind == Kind::kEverything) {
        ++i;
      } else {
        return;
      }
    }
  };
  add(now, 0);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    then.assign(then.size(), false);
    bool any = false;
    for (size_t i = 0; i < steps_.size(); ++i) {
      if (!now[i]) continue;
      const Step& step = steps_[i];
      switch (step.kind) {
        case Kind::kStar:
          if (byte == '/') continue;
          add(then, i);
          break;
        case Kind::kEverything:
          add(then, i);
          break;
        case Kind::kInDirectories:
          then[i] = true;
          if (byte == '/') add(then, i + 1);
          break;
        case Kind::kDirectories:
          continue;
        default:
          if (!Accepts(step, byte)) continue;
          add(then, i + 1);
      }
      any = true;
    }
    if (!any) return false;
    now.swap(then);
  }
  return now[steps_.size()];
}

absl::StatusOr<IgnorePatterns> IgnorePatterns::Parse(absl::Span<const std::string> patterns) {
  if (patterns.size() > kMaxPatterns) {
    return absl::InvalidArgumentError(absl::StrCat(
        "there are ", patterns.size(), " exclude patterns: give at most ", kMaxPatterns));
  }
  IgnorePatterns parsed;
  for (const std::string& text : patterns) {
    absl::StatusOr<IgnorePattern> pattern = IgnorePattern::Parse(text);
    if (!pattern.ok()) {
      return Annotate(pattern.status(), absl::StrCat("the exclude pattern '", text, "' is bad"));
    }
    parsed.patterns_.push_back(*std::move(pattern));
    absl::StrAppend(&parsed.key_, text, absl::string_view("\0", 1));
  }
  return parsed;
}

bool IgnorePatterns::Excludes(absl::string_view path, bool is_directory) const {
  if (patterns_.empty()) return false;
  const size_t slash = path.rfind('/');
  const absl::string_view name = slash == absl::string_view::npos ? path : path.substr(slash + 1);
  for (auto pattern = patterns_.rbegin(); pattern != patterns_.rend(); ++pattern) {
    if (pattern->Matches(path, name, is_directory)) return !pattern->is_negated();
  }
  return false;
}

}  // namespace contree::gateway
