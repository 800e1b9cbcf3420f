// What of the API is about processes beside the command of a running instance.

#include <string>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "contree-service/api/contree_api.h"
#include "contree-service/api/json_fields.h"
#include "contree-service/api/operation_json.h"

namespace contree {
namespace {

using json_fields::Json;

std::string ProcessName(absl::string_view operation_id, int64_t spid) {
  return absl::StrCat("process ", spid, " of operation ", operation_id);
}

std::string ProcessesTarget(absl::string_view operation_id) {
  return absl::StrCat("/v1/operations/", PercentEncode(operation_id), "/subprocesses");
}

std::string SubprocessBody(const SubprocessSpec& spec) {
  Json body = {{"command", spec.command},
               {"args", spec.args},
               {"shell", spec.shell},
               {"env", spec.env},
               {"uid", spec.uid},
               {"gid", spec.gid},
               {"stdin", StreamJson(spec.stdin)}};
  body["stdin"]["close"] = !spec.stdin_stays_open;
  if (!spec.cwd.empty()) body["cwd"] = spec.cwd;
  if (spec.truncate_output_at > 0) body["truncate_output_at"] = spec.truncate_output_at;
  return json_fields::Dump(body);
}

}  // namespace

absl::StatusOr<int64_t> ContreeApi::StartSubprocess(absl::string_view operation_id,
                                                    const SubprocessSpec& spec,
                                                    const CallContext& context) const {
  const ApiRequest request = {
      .what = absl::StrCat("starting a process in operation ", operation_id),
      .method = "POST",
      .target = ProcessesTarget(operation_id),
      .json_body = SubprocessBody(spec)};
  ASSIGN_OR_RETURN(const HttpResponse response, transport_->Call(request, context));
  const auto json = json_fields::Parse(response.body, request.what);
  const int64_t spid = json.ok() ? json_fields::Int(*json, "spid", -1) : -1;
  if (spid < 0) {
    return absl::UnknownError(absl::StrCat(
        request.what, ": the platform accepted it but named no process; its events show it"));
  }
  return spid;
}

absl::StatusOr<Subprocess> ContreeApi::GetSubprocess(absl::string_view operation_id, int64_t spid,
                                                     const CallContext& context) const {
  const ApiRequest request = {.what = ProcessName(operation_id, spid),
                              .target = absl::StrCat(ProcessesTarget(operation_id), "/", spid)};
  ASSIGN_OR_RETURN(const HttpResponse response, transport_->Call(request, context));
  ASSIGN_OR_RETURN(const Json json, json_fields::Parse(response.body, request.what));
  const Json& state = json_fields::Member(json, "state");
  return Subprocess{.is_running = json_fields::Int(state, "exit_code", -1) == -1 &&
                                  json_fields::Int(state, "signal", -1) == -1 &&
                                  !json_fields::Bool(state, "timed_out"),
                    .result = InstanceResultFromJson(json)};
}

absl::Status ContreeApi::SignalSubprocess(absl::string_view operation_id, int64_t spid,
                                          absl::string_view signal,
                                          const CallContext& context) const {
  std::string target = absl::StrCat(ProcessesTarget(operation_id), "/", spid);
  if (!signal.empty()) absl::StrAppend(&target, "?signal=", PercentEncode(signal));
  return transport_
      ->Call({.what = ProcessName(operation_id, spid), .method = "DELETE", .target = target},
             context)
      .status();
}

absl::Status ContreeApi::WriteStdin(absl::string_view operation_id, int64_t spid,
                                    absl::string_view bytes, bool close,
                                    const CallContext& context) const {
  Json body = StreamJson(bytes);
  body["close"] = close;
  return transport_
      ->Call({.what = absl::StrCat("stdin of ", ProcessName(operation_id, spid)),
              .method = "POST",
              .target = absl::StrCat(ProcessesTarget(operation_id), "/", spid, "/stdin"),
              .json_body = json_fields::Dump(body)},
             context)
      .status();
}

}  // namespace contree
