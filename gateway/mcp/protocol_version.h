#ifndef GATEWAY_MCP_PROTOCOL_VERSION_H_
#define GATEWAY_MCP_PROTOCOL_VERSION_H_

// The revisions of MCP that this server speaks, by the dates that name them on the wire.
// Thread-safe.

#include <string>

#include "absl/strings/string_view.h"

namespace contree::gateway {

// The two ways in which revisions of the protocol begin.
enum class Era {
  kSessions,   // 2024-11-05 to 2025-11-25: initialize, then requests
  kStateless,  // 2026-07-28: each request says who asks
};

inline constexpr absl::string_view kStatelessVersion = "2026-07-28";
inline constexpr absl::string_view kNewestSessionVersion = "2025-11-25";
// What a client of the earlier era speaks that names no version: the header that does so over HTTP
// came after it.
inline constexpr absl::string_view kUnnamedVersion = "2025-03-26";

// Whether it is a revision of the earlier era that is spoken here.
bool IsSessionVersion(absl::string_view version);
bool IsSupportedProtocolVersion(absl::string_view version);
// All of them as a JSON array, the newest first.
const std::string& SupportedVersionsJson();

// JSON-RPC batches came and went with one revision.
bool HasBatches(absl::string_view version);
// Icons came with 2025-11-25.
bool HasIcons(absl::string_view version);

}  // namespace contree::gateway

#endif  // GATEWAY_MCP_PROTOCOL_VERSION_H_
