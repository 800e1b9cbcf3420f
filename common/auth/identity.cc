#include "common/auth/identity.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace contree {
namespace {

constexpr size_t kMaxTenantBytes = 128;
constexpr size_t kMaxPrincipalBytes = 256;

}  // namespace

absl::string_view ScopeName(Scope scope) {
  return scope == Scope::kRead ? "contree:read" : "contree:run";
}

void Scopes::Add(absl::string_view name) {
  if (name == ScopeName(Scope::kRead)) read = true;
  if (name == ScopeName(Scope::kRun)) run = true;
}

bool IsTenantName(absl::string_view name) {
  if (name.empty() || name.size() > kMaxTenantBytes || name.front() == '.') return false;
  return std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
  });
}

bool IsPrincipalName(absl::string_view name) {
  return name.size() <= kMaxPrincipalBytes &&
         std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return absl::ascii_isprint(c); });
}

}  // namespace contree
