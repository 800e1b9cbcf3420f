#ifndef LOCAL_BACKEND_API_PROCESS_FIELDS_H_
#define LOCAL_BACKEND_API_PROCESS_FIELDS_H_

// The fields that a request for an instance and one for a process beside its command have in
// common. Thread-safe.

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "local-backend/api/json_fields.h"
#include "local-backend/operations/process_report.h"

namespace contree {

// command, args, shell, env, cwd, uid, gid, stdin and truncate_output_at, with their defaults; what
// is wrong is remembered in `fields`.
void ReadProcessFields(JsonFields& fields, ProcessRequest& request);

struct StdinPiece {
  std::string bytes;
  bool close = true;
};
// {"value", "encoding", "close"}. InvalidArgument: it is none.
absl::StatusOr<StdinPiece> ParseStdin(const nlohmann::json& stream, bool closes_by_default);

}  // namespace contree

#endif  // LOCAL_BACKEND_API_PROCESS_FIELDS_H_
