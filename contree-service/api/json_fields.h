#ifndef CONTREE_SERVICE_API_JSON_FIELDS_H_
#define CONTREE_SERVICE_API_JSON_FIELDS_H_

// Reading the API's JSON tolerantly: a field that is absent, null or of another type reads as its
// default. For .cc files only: nlohmann's header is expensive.

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace contree::json_fields {

using Json = nlohmann::json;

// The document, or Unavailable (a broken answer may be whole the next time): `what` names whose it
// was.
absl::StatusOr<Json> Parse(absl::string_view text, absl::string_view what);

// The same for the record of an operation, without the files that a run was given: there may be
// tens of thousands, and who asks knows them.
absl::StatusOr<Json> ParseOperation(absl::string_view text, absl::string_view what);

// The member, or a null.
const Json& Member(const Json& object, const char* name);
std::string String(const Json& object, const char* name);
int64_t Int(const Json& object, const char* name, int64_t otherwise = 0);
double Number(const Json& object, const char* name);
bool Bool(const Json& object, const char* name);
// An ISO 8601 time with or without an offset (then UTC); InfinitePast where there is none.
absl::Time Time(const Json& object, const char* name);
// A StreamRepr's bytes, decoded.
std::string StreamBytes(const Json& stream);

// Text that no non-UTF-8 byte can break.
std::string Dump(const Json& json);

}  // namespace contree::json_fields

#endif  // CONTREE_SERVICE_API_JSON_FIELDS_H_
