#ifndef LOCAL_BACKEND_API_JSON_FIELDS_H_
#define LOCAL_BACKEND_API_JSON_FIELDS_H_

// Reads the fields of a JSON object with their defaults; null is the same as absent. The first
// wrong one is remembered as an InvalidArgument error that names it; what is read after it does not
// matter. Not thread-safe.

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace contree {

class JsonFields {
 public:
  explicit JsonFields(const nlohmann::json& object) : object_(object) {}  // outlives this

  std::string String(const char* name, const std::string& otherwise);
  bool Bool(const char* name, bool otherwise);
  int64_t Int(const char* name, int64_t otherwise, int64_t least, int64_t most);
  std::vector<std::string> Strings(const char* name);
  std::map<std::string, std::string> StringMap(const char* name);
  // nullptr where it is absent.
  const nlohmann::json* Object(const char* name);

  void Fail(absl::string_view name, absl::string_view what);
  const absl::Status& status() const { return status_; }

 private:
  const nlohmann::json* Find(const char* name) const;

  const nlohmann::json& object_;
  absl::Status status_;
};

}  // namespace contree

#endif  // LOCAL_BACKEND_API_JSON_FIELDS_H_
