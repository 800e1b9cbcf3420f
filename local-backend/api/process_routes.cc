// GET and POST /operations/{id}/subprocesses, GET and DELETE …/{spid}, POST …/{spid}/stdin.

#include <signal.h>
#include <string.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/status/status_macros.h"
#include "local-backend/api/answers.h"
#include "local-backend/api/json_fields.h"
#include "local-backend/api/process_fields.h"
#include "local-backend/api/routes.h"
#include "local-backend/operations/process_report.h"

namespace contree {
namespace {

using nlohmann::json;

constexpr size_t kMaxBody = 64 * 1024 * 1024;

// NotFound: no number names no process.
absl::StatusOr<int> SpidOf(const ApiCall& call) {
  int spid;
  if (!absl::SimpleAtoi(call.sub_id, &spid) || spid < 1) {
    return absl::NotFoundError(
        absl::StrCat("the operation ", call.id, " has no process ", call.sub_id));
  }
  return spid;
}

// "TERM", "SIGTERM" or "15".
absl::StatusOr<int> SignalOf(const HttpExchange& exchange) {
  const std::string text = exchange.Query("signal").value_or("");
  if (text.empty()) return SIGTERM;
  int number;
  if (absl::SimpleAtoi(text, &number)) {
    if (number >= 1 && number < NSIG) return number;
  } else {
    const std::string upper = absl::AsciiStrToUpper(text);
    const absl::string_view name = absl::StripPrefix(upper, "SIG");
    for (number = 1; number < NSIG; ++number) {
      const char* abbreviation = sigabbrev_np(number);
      if (abbreviation != nullptr && name == abbreviation) return number;
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", text, "\" is not a signal: give a name such as TERM, INT or KILL"));
}

// These can be sent again without harm: the sandbox is not up yet, or has no room just now.
void AnswerProcessError(HttpExchange& exchange, const absl::Status& error) {
  if (absl::IsUnavailable(error)) return AnswerLater(exchange, 425, error.message());
  if (absl::IsResourceExhausted(error)) return AnswerLater(exchange, 429, error.message());
  AnswerError(exchange, error);
}

absl::StatusOr<json> ObjectOfBody(HttpExchange& exchange) {
  ASSIGN_OR_RETURN(const std::string body, exchange.ReadBody(kMaxBody));
  json object = json::parse(body, nullptr, false);
  if (!object.is_object()) return absl::InvalidArgumentError("the body must be a JSON object");
  return object;
}

}  // namespace

void PostProcess(ApiCall& call) {
  const absl::StatusOr<json> body = ObjectOfBody(call.exchange);
  if (!body.ok()) return AnswerError(call.exchange, body.status());
  JsonFields fields(*body);
  ProcessRequest request;
  ReadProcessFields(fields, request);
  if (!fields.status().ok()) return AnswerError(call.exchange, fields.status());
  const absl::StatusOr<int> spid =
      call.services.operations.StartProcess(call.project, call.id, request);
  if (!spid.ok()) return AnswerProcessError(call.exchange, spid.status());
  AnswerJson(call.exchange, 201, {{"spid", *spid}});
}

void ListProcesses(ApiCall& call) {
  const auto log = call.services.operations.Events(call.project, call.id);
  if (!log.ok()) return AnswerError(call.exchange, log.status());
  AnswerJson(call.exchange, 200,
             {{"subprocesses", ProcessList((*log)->Read(0, absl::ZeroDuration()).events)}});
}

void GetProcess(ApiCall& call) {
  const absl::StatusOr<int> spid = SpidOf(call);
  if (!spid.ok()) return AnswerError(call.exchange, spid.status());
  // Before the events are read: of one that ends meanwhile they know.
  const bool is_live = call.services.operations.HasProcess(call.project, call.id, *spid);
  const auto log = call.services.operations.Events(call.project, call.id);
  if (!log.ok()) return AnswerError(call.exchange, log.status());
  const std::vector<Event> events = (*log)->Read(0, absl::ZeroDuration()).events;
  bool is_known = is_live;
  for (const Event& event : events) is_known |= event.spid == *spid;
  if (!is_known) {
    return AnswerError(call.exchange, 404,
                       absl::StrCat("the operation ", call.id, " has no process ", *spid));
  }
  AnswerJson(call.exchange, 200, ProcessResult(events, *spid));
}

void DeleteProcess(ApiCall& call) {
  const absl::StatusOr<int> signal = SignalOf(call.exchange);
  if (!signal.ok()) return AnswerError(call.exchange, signal.status());
  const absl::StatusOr<int> spid = SpidOf(call);
  if (!spid.ok()) return AnswerError(call.exchange, spid.status());
  const absl::Status sent = call.services.operations.Signal(call.project, call.id, *spid, *signal);
  if (!sent.ok()) return AnswerProcessError(call.exchange, sent);
  call.exchange.Respond(202);
}

void PostProcessStdin(ApiCall& call) {
  const absl::StatusOr<json> body = ObjectOfBody(call.exchange);
  if (!body.ok()) return AnswerError(call.exchange, body.status());
  const absl::StatusOr<StdinPiece> piece = ParseStdin(*body, /*closes_by_default=*/false);
  if (!piece.ok()) return AnswerError(call.exchange, piece.status());
  const absl::StatusOr<int> spid = SpidOf(call);
  if (!spid.ok()) return AnswerError(call.exchange, spid.status());
  const absl::Status written =
      call.services.operations.WriteStdin(call.project, call.id, *spid, piece->bytes, piece->close);
  if (!written.ok()) return AnswerProcessError(call.exchange, written);
  AnswerJson(call.exchange, 200, {{"spid", *spid}, {"written", piece->bytes.size()}});
}

}  // namespace contree
