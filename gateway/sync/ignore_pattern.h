#ifndef GATEWAY_SYNC_IGNORE_PATTERN_H_
#define GATEWAY_SYNC_IGNORE_PATTERN_H_

// What a sync leaves out, in the language of .gitignore: a pattern without a slash matches a name
// at any depth, one with a slash before its end a path from the root; a slash at the end matches
// directories only; `*`, `?` and `[…]` match within a name, `**` between slashes any number of
// directories; `!` takes back, and the last pattern that matches decides. What lies in an excluded
// directory is never asked about, so nothing in there can be taken back.

#include <bitset>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace contree::gateway {

// One pattern. Matching takes time in proportion to the product of both lengths, whatever they
// hold.
class IgnorePattern {
 public:
  // InvalidArgument: empty, a comment, an unfinished bracket or escape, an unknown character class,
  // longer than 4096 bytes.
  static absl::StatusOr<IgnorePattern> Parse(absl::string_view text);

  // `path` is relative to the root; `name` is what stands behind its last slash.
  bool Matches(absl::string_view path, absl::string_view name, bool is_directory) const;
  bool is_negated() const { return is_negated_; }

 private:
  enum class Kind : uint8_t {
    kByte,
    kSet,            // one byte of sets_[operand]
    kAny,            // ?: one byte that is no slash
    kStar,           // *: any bytes but slashes
    kEverything,     // ** at the end: any bytes
    kDirectories,    // **/: nothing, or what ends with a slash
    kInDirectories,  // the second half of kDirectories: past the first byte of it
  };
  struct Step {
    Kind kind;
    uint8_t operand;
  };

  absl::Status Compile(absl::string_view text);
  // Reads "[…]" at the beginning of `text` and returns how long it is.
  absl::StatusOr<size_t> CompileSet(absl::string_view text);
  bool MatchesSteps(absl::string_view text) const;
  bool Accepts(const Step& step, unsigned char byte) const;

  bool is_negated_ = false;
  bool directories_only_ = false;
  bool by_name_ = false;  // matched against the name alone
  // Where everything before and behind one star is literal, comparing is enough.
  bool is_literal_ = false;
  bool is_star_then_literal_ = false;
  std::string literal_;
  std::vector<Step> steps_;
  std::vector<std::bitset<256>> sets_;
};

// Thread-safe once made.
class IgnorePatterns {
 public:
  IgnorePatterns() = default;
  // InvalidArgument: as IgnorePattern::Parse says, naming the pattern; or more than 200 of them.
  static absl::StatusOr<IgnorePatterns> Parse(absl::Span<const std::string> patterns);

  // Whether `path` itself is left out; whether a directory above it is, is the caller's affair.
  bool Excludes(absl::string_view path, bool is_directory) const;

  // The patterns as they were given: two lists with the same key exclude the same.
  const std::string& key() const { return key_; }

 private:
  std::vector<IgnorePattern> patterns_;
  std::string key_;
};

}  // namespace contree::gateway

#endif  // GATEWAY_SYNC_IGNORE_PATTERN_H_
