#ifndef GATEWAY_RESOURCES_URI_TEMPLATE_H_
#define GATEWAY_RESOURCES_URI_TEMPLATE_H_

// The part of RFC 6570 that the resources here use: literals and simple variables.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace contree::gateway {

// Immutable, so thread-safe.
class UriTemplate {
 public:
  // "contree://image/{image}/read/{path}". InvalidArgument: no such template (an operator, a brace
  // without its partner, two variables without a literal between them, a name that is empty or
  // there twice).
  static absl::StatusOr<UriTemplate> Parse(absl::string_view text);

  // The variables, percent-decoded; nullopt: it does not fit, an escape is broken or NUL, or a
  // value is not UTF-8. A variable takes as little as the literal behind it lets it, no "/", and at
  // least one character. A variable at the end takes all that is left, with every "/".
  std::optional<std::map<std::string, std::string>> Match(absl::string_view uri) const;

 private:
  // Literals and variables take turns: literal 0, variable 0, literal 1 …
  std::vector<std::string> literals_;
  std::vector<std::string> variables_;
};

}  // namespace contree::gateway

#endif  // GATEWAY_RESOURCES_URI_TEMPLATE_H_
