#ifndef LOCAL_BACKEND_SANDBOX_USER_NAMESPACE_H_
#define LOCAL_BACKEND_SANDBOX_USER_NAMESPACE_H_

// The user namespace in which the whole backend lives: 65,536 ids of its own, of which id 0 is no
// one important outside (an unused range for a root daemon, the user himself otherwise). Inside it
// the same code makes layers, overlays and sandboxes, whoever started the program.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace contree {

inline constexpr uint32_t kNamespaceIds = 65'536;

// One line of a uid_map or gid_map.
struct IdRange {
  uint32_t inside = 0;
  uint32_t outside = 0;
  uint32_t count = 0;

  friend bool operator==(const IdRange&, const IdRange&) = default;
};

// Who the root of the namespace is outside.
struct NamespaceRoot {
  uint32_t uid = 0;
  uint32_t gid = 0;
};

// As EnterPrivateNamespaces will choose. FailedPrecondition: as there.
absl::StatusOr<NamespaceRoot> RootOutside();

// Moves this process into a new user namespace with kNamespaceIds ids and a mount namespace of its
// own, as uid 0 there. `directory` becomes 0700, owned by that uid 0, and is shown at the path that
// is returned: its parents need not be open to the new uid. Call it while the process has one
// thread. FailedPrecondition: this machine does not allow it; the message says what is missing and
// how to get it.
absl::StatusOr<std::string> EnterPrivateNamespaces(const std::string& directory);

// What EnterPrivateNamespaces decides by, apart for tests.

// The first range of `owner` (a name or a number) in the text of /etc/subuid that has at least
// `count` ids.
std::optional<uint32_t> FindSubordinateIds(absl::string_view subid_file, absl::string_view name,
                                           uint32_t id, uint32_t count);
// The ranges in the text of /proc/self/uid_map.
std::vector<IdRange> ParseIdMap(absl::string_view text);

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_USER_NAMESPACE_H_
