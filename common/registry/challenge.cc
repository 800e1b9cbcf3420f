#include "common/registry/challenge.h"

#include <optional>
#include <utility>

#include "absl/strings/ascii.h"

namespace contree {
namespace {

constexpr size_t kMaxChallenges = 16;
constexpr size_t kMaxParameters = 32;

bool IsTokenCharacter(char c) {
  return absl::ascii_isalnum(c) ||
         (c != '\0' && absl::string_view("!#$%&'*+-.^_`|~").find(c) != absl::string_view::npos);
}

class Reader {
 public:
  explicit Reader(absl::string_view text) : rest_(text) {}

  bool at_end() const { return rest_.empty(); }
  void SkipSpaces() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t')) Skip();
  }
  void SkipSpacesAndCommas() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t' || Sees(','))) Skip();
  }
  bool Sees(char c) const { return !rest_.empty() && rest_.front() == c; }
  bool Consume(char c) {
    if (!Sees(c)) return false;
    Skip();
    return true;
  }
  // Empty: there is none here.
  absl::string_view Token() {
    size_t length = 0;
    while (length < rest_.size() && IsTokenCharacter(rest_[length])) ++length;
    const absl::string_view token = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return token;
  }
  std::optional<std::string> QuotedString() {
    if (!Consume('"')) return std::nullopt;
    std::string value;
    while (!rest_.empty()) {
      const char c = rest_.front();
      Skip();
      if (c == '"') return value;
      if (c == '\\') {
        if (rest_.empty()) return std::nullopt;
        value.push_back(rest_.front());
        Skip();
      } else {
        value.push_back(c);
      }
    }
    return std::nullopt;  // it never ends
  }

  // `name=value` ahead; leaves the place where it is if there is none.
  std::optional<std::pair<std::string, std::string>> Parameter() {
    const absl::string_view before = rest_;
    std::string name = absl::AsciiStrToLower(Token());
    SkipSpaces();
    if (!name.empty() && Consume('=')) {
      SkipSpaces();
      if (Sees('"')) {
        if (std::optional<std::string> value = QuotedString(); value.has_value()) {
          return std::make_pair(std::move(name), *std::move(value));
        }
      } else if (const absl::string_view value = Token(); !value.empty()) {
        return std::make_pair(std::move(name), std::string(value));
      }
    }
    rest_ = before;
    return std::nullopt;
  }

  // The credentials-like text of "Negotiate YWJj==".
  void SkipToken68() {
    const absl::string_view before = rest_;
    while (!rest_.empty() &&
           (absl::ascii_isalnum(rest_.front()) ||
            absl::string_view("-._~+/").find(rest_.front()) != absl::string_view::npos)) {
      Skip();
    }
    while (Sees('=')) Skip();
    SkipSpaces();
    if (!rest_.empty() && !Sees(',')) rest_ = before;
  }

 private:
  void Skip() { rest_.remove_prefix(1); }

  absl::string_view rest_;
};

}  // namespace

std::vector<Challenge> ParseChallenges(absl::string_view header) {
  std::vector<Challenge> challenges;
  Reader reader(header);
  while (challenges.size() < kMaxChallenges) {
    reader.SkipSpacesAndCommas();
    if (reader.at_end()) break;
    Challenge challenge = {.scheme = absl::AsciiStrToLower(reader.Token()), .parameters = {}};
    if (challenge.scheme.empty()) break;
    reader.SkipSpaces();
    std::optional<std::pair<std::string, std::string>> parameter = reader.Parameter();
    if (!parameter.has_value() && !reader.at_end() && !reader.Sees(',')) reader.SkipToken68();
    while (parameter.has_value() && challenge.parameters.size() < kMaxParameters) {
      // The first of a name counts: a second one cannot take its place.
      challenge.parameters.insert(*std::move(parameter));
      reader.SkipSpacesAndCommas();
      parameter = reader.Parameter();
    }
    challenges.push_back(std::move(challenge));
  }
  return challenges;
}

}  // namespace contree
