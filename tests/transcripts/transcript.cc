#include "tests/transcripts/transcript.h"

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/status/status_macros.h"

namespace contree::transcripts {
namespace {

using nlohmann::json;

constexpr char kMore[] = "...";

absl::Status Unreadable(int line, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("line ", line, ": ", why));
}

// Whether `text` is `pattern`, in which each "*" stands for any text.
bool MatchesText(absl::string_view pattern, absl::string_view text) {
  const std::vector<absl::string_view> parts = absl::StrSplit(pattern, '*');
  if (parts.size() == 1) return pattern == text;
  if (!absl::ConsumePrefix(&text, parts.front())) return false;
  for (size_t i = 1; i + 1 < parts.size(); ++i) {
    const size_t at = text.find(parts[i]);
    if (at == absl::string_view::npos) return false;
    text.remove_prefix(at + parts[i].size());
  }
  return absl::EndsWith(text, parts.back());
}

std::optional<std::string> Match(const json& expected, const json& actual,
                                 const std::string& where) {
  const auto differs = [&] {
    return absl::StrCat(where.empty() ? "/" : where, ": expected ", expected.dump(), ", got ",
                        actual.dump(-1, ' ', false, json::error_handler_t::replace));
  };
  if (expected == "*") return std::nullopt;
  if (expected.is_string() && actual.is_string()) {
    if (MatchesText(expected.get_ref<const std::string&>(), actual.get_ref<const std::string&>())) {
      return std::nullopt;
    }
    return differs();
  }
  if (expected.is_object() && actual.is_object()) {
    for (const auto& [name, value] : expected.items()) {
      if (name == kMore) continue;
      if (!actual.contains(name)) return absl::StrCat(where, "/", name, ": missing");
      if (auto mismatch = Match(value, actual.at(name), absl::StrCat(where, "/", name))) {
        return mismatch;
      }
    }
    if (expected.contains(kMore)) return std::nullopt;
    for (const auto& [name, value] : actual.items()) {
      if (!expected.contains(name)) {
        return absl::StrCat(where, "/", name, ": not expected, but it is ", value.dump());
      }
    }
    return std::nullopt;
  }
  if (expected.is_array() && actual.is_array()) {
    const bool may_be_longer = !expected.empty() && expected.back() == kMore;
    const size_t count = expected.size() - (may_be_longer ? 1 : 0);
    if (may_be_longer ? actual.size() < count : actual.size() != count) return differs();
    for (size_t i = 0; i < count; ++i) {
      if (auto mismatch = Match(expected[i], actual[i], absl::StrCat(where, "/", i))) {
        return mismatch;
      }
    }
    return std::nullopt;
  }
  return expected == actual ? std::nullopt : std::make_optional(differs());
}

class Parser {
 public:
  absl::Status Take(int number, absl::string_view line) {
    const auto takes = [&line](absl::string_view mark) { return absl::ConsumePrefix(&line, mark); };
    if (line.empty()) return absl::OkStatus();
    if (takes("#")) {
      if (transcript_.exchanges.empty()) absl::StrAppend(&transcript_.guards, line, "\n");
      return absl::OkStatus();
    }
    if (takes("@ ")) return TakeTransports(number, line);
    if (takes("> ")) return TakeMessage(number, std::string(line));
    if (takes(">c ")) {
      std::string bytes;
      if (!absl::CUnescape(line, &bytes)) return Unreadable(number, "a wrong escape");
      return TakeMessage(number, bytes);
    }
    if (takes("~ ")) return TakeHeader(number, line);
    if (transcript_.exchanges.empty()) return Unreadable(number, "nothing was sent yet");
    Exchange& exchange = transcript_.exchanges.back();
    if (takes("? ")) {
      int status = 0;
      if (!absl::SimpleAtoi(line, &status)) return Unreadable(number, "a status is a number");
      exchange.status = status;
      return absl::OkStatus();
    }
    if (takes("< ")) {
      json expected = json::parse(line, nullptr, /*allow_exceptions=*/false);
      if (expected.is_discarded()) return Unreadable(number, "what is expected is no JSON");
      exchange.expected.push_back(std::move(expected));
      return absl::OkStatus();
    }
    return Unreadable(number, "begins with none of # @ > >c ~ ? <");
  }

  absl::StatusOr<Transcript> Finish() {
    if (transcript_.guards.empty()) return Unreadable(1, "say first, behind #, what is guarded");
    if (!transcript_.over_stdio && !transcript_.over_http) {
      return Unreadable(1, "say behind @ over which transports: stdio, http");
    }
    if (transcript_.exchanges.empty()) return Unreadable(1, "nothing is sent");
    return std::move(transcript_);
  }

 private:
  absl::Status TakeTransports(int number, absl::string_view names) {
    for (const absl::string_view name : absl::StrSplit(names, ' ')) {
      if (name != "stdio" && name != "http") return Unreadable(number, "transports: stdio, http");
      (name == "stdio" ? transcript_.over_stdio : transcript_.over_http) = true;
    }
    return absl::OkStatus();
  }

  absl::Status TakeMessage(int number, std::string message) {
    const Exchange* last = transcript_.exchanges.empty() ? nullptr : &transcript_.exchanges.back();
    const bool together = last != nullptr && !has_next_ && last->expected.empty() &&
                          !last->status.has_value() && !transcript_.over_http;
    if (!together) {
      transcript_.exchanges.push_back(std::move(next_));
      transcript_.exchanges.back().line = number;
      next_ = {};
      has_next_ = false;
    }
    transcript_.exchanges.back().sent.push_back(std::move(message));
    return absl::OkStatus();
  }

  absl::Status TakeHeader(int number, absl::string_view line) {
    has_next_ = true;
    if (absl::ConsumePrefix(&line, ":method ")) {
      next_.method = std::string(line);
    } else if (absl::ConsumePrefix(&line, "-")) {
      next_.headers.emplace_back(line, std::nullopt);
    } else {
      const std::pair<absl::string_view, absl::string_view> header =
          absl::StrSplit(line, absl::MaxSplits(": ", 1));
      if (header.second.empty()) return Unreadable(number, "a header is NAME: VALUE");
      next_.headers.emplace_back(header.first, std::string(header.second));
    }
    return absl::OkStatus();
  }

  Transcript transcript_;
  Exchange next_;  // headers of the message that comes
  bool has_next_ = false;
};

}  // namespace

absl::StatusOr<Transcript> ParseTranscript(absl::string_view text) {
  Parser parser;
  int number = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    RETURN_IF_ERROR(parser.Take(++number, line));
  }
  return parser.Finish();
}

std::optional<std::string> MatchJson(const json& expected, const json& actual) {
  return Match(expected, actual, "");
}

}  // namespace contree::transcripts
