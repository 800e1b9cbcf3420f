#ifndef COMMON_AUTH_IDENTITY_H_
#define COMMON_AUTH_IDENTITY_H_

// Who calls, and what that caller may do.

#include <string>

#include "absl/strings/string_view.h"

namespace contree {

enum class Scope {
  kRead,  // "contree:read": what changes nothing
  kRun,   // "contree:run": what runs, changes, stores or hands out credentials
};

// "contree:read"
absl::string_view ScopeName(Scope scope);

struct Scopes {
  bool read = false;
  bool run = false;

  bool Has(Scope scope) const { return scope == Scope::kRead ? read : run; }
  // Adds the scope of this name; other names are no concern of ours.
  void Add(absl::string_view name);

  friend bool operator==(const Scopes&, const Scopes&) = default;
};

inline constexpr Scopes kAllScopes = {.read = true, .run = true};

struct Identity {
  std::string tenant;     // as IsTenantName
  std::string principal;  // a key's name or a token's subject; printable ASCII; empty: not said
  Scopes scopes;

  friend bool operator==(const Identity&, const Identity&) = default;
};

// Whether a tenant may be called so: 1 to 128 letters, digits, '-', '_' and '.', no '.' at the
// start. So it can be the name of a file.
bool IsTenantName(absl::string_view name);

// Whether a principal may be called so: at most 256 bytes of printable ASCII, for it goes into
// logs.
bool IsPrincipalName(absl::string_view name);

}  // namespace contree

#endif  // COMMON_AUTH_IDENTITY_H_
