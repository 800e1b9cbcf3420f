#ifndef TESTS_TRANSCRIPTS_TRANSCRIPT_H_
#define TESTS_TRANSCRIPTS_TRANSCRIPT_H_

// Conversations as files: what a client sends and what the server has to answer. One holds, in its
// first lines, the rule or the bug that it guards.
//
//   # Text.                  says what is guarded; also between the lines
//   @ stdio http             the transports over which it is played
//   > {"jsonrpc": …}         a message that is sent, exactly as it stands here
//   >c {\xff\n               bytes, escaped as in C
//   ~ Origin: http://x       a header of the next HTTP request; it replaces one of the same name
//   ~ -Accept                the next HTTP request has no such header
//   ~ :method GET            its method, if it is not POST
//   ? 400                    the status of the HTTP answer, if it is not 200 (202 without messages)
//   < {"jsonrpc": …}         a message that has to come (see MatchJson)
//
// Messages that follow each other without anything expected in between are sent at once; what is
// then expected may come in any order. Whatever comes beyond that is a failure. Over HTTP each
// message is a POST with the headers that its revision asks for, and has its answers behind it.

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace contree::transcripts {

struct Exchange {
  int line = 0;  // of the file, where it begins
  std::vector<std::string> sent = {};
  std::vector<nlohmann::json> expected = {};
  // Over HTTP. A header with a nullopt is left out.
  std::vector<std::pair<std::string, std::optional<std::string>>> headers = {};
  std::string method = "POST";
  std::optional<int> status = std::nullopt;
};

struct Transcript {
  std::string guards;
  bool over_stdio = false;
  bool over_http = false;
  std::vector<Exchange> exchanges;
};

// InvalidArgument: the file does not read so; the message names the line.
absl::StatusOr<Transcript> ParseTranscript(absl::string_view text);

// What `actual` lacks to be what was expected, with the place; nullopt: nothing. In `expected`, a
// "*" in a string stands for any text, a string that is only "*" for any value; an object with the
// member "..." may have more members, and an array that ends with "..." more elements.
std::optional<std::string> MatchJson(const nlohmann::json& expected, const nlohmann::json& actual);

}  // namespace contree::transcripts

#endif  // TESTS_TRANSCRIPTS_TRANSCRIPT_H_
