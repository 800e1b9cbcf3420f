#include "local-backend/api/json_fields.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"

namespace contree {

const nlohmann::json* JsonFields::Find(const char* name) const {
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

void JsonFields::Fail(absl::string_view name, absl::string_view what) {
  status_.Update(absl::InvalidArgumentError(absl::StrCat(name, " ", what)));
}

std::string JsonFields::String(const char* name, const std::string& otherwise) {
  const nlohmann::json* value = Find(name);
  if (value == nullptr) return otherwise;
  if (value->is_string()) return value->get<std::string>();
  Fail(name, "must be a string");
  return otherwise;
}

bool JsonFields::Bool(const char* name, bool otherwise) {
  const nlohmann::json* value = Find(name);
  if (value == nullptr) return otherwise;
  if (value->is_boolean()) return value->get<bool>();
  Fail(name, "must be true or false");
  return otherwise;
}

int64_t JsonFields::Int(const char* name, int64_t otherwise, int64_t least, int64_t most) {
  const nlohmann::json* value = Find(name);
  if (value == nullptr) return otherwise;
  // A number beyond int64 comes as unsigned or as a float.
  const bool fits = value->is_number_integer() &&
                    (!value->is_number_unsigned() || value->get<uint64_t>() <= INT64_MAX);
  if (fits) {
    const auto number = value->get<int64_t>();
    if (number >= least && number <= most) return number;
  }
  Fail(name, absl::StrCat("must be a whole number between ", least, " and ", most));
  return otherwise;
}

std::vector<std::string> JsonFields::Strings(const char* name) {
  std::vector<std::string> strings;
  const nlohmann::json* value = Find(name);
  if (value == nullptr) return strings;
  bool right = value->is_array();
  for (size_t i = 0; right && i < value->size(); ++i) {
    right = (*value)[i].is_string();
    if (right) strings.push_back((*value)[i].get<std::string>());
  }
  if (!right) Fail(name, "must be an array of strings");
  return strings;
}

std::map<std::string, std::string> JsonFields::StringMap(const char* name) {
  std::map<std::string, std::string> map;
  const nlohmann::json* value = Object(name);
  if (value == nullptr) return map;
  for (const auto& [key, entry] : value->items()) {
    if (!entry.is_string()) {
      Fail(name, absl::StrCat("must have strings as values; that of \"", key, "\" is none"));
      return map;
    }
    map[key] = entry.get<std::string>();
  }
  return map;
}

const nlohmann::json* JsonFields::Object(const char* name) {
  const nlohmann::json* value = Find(name);
  if (value == nullptr || value->is_object()) return value;
  Fail(name, "must be an object");
  return nullptr;
}

}  // namespace contree
