#include "gateway/mcp/session_token.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/uuid/uuid.h"

namespace contree::gateway {
namespace {

constexpr absl::Duration kLifetime = absl::Hours(24 * 7);

std::string Purpose(absl::string_view tenant) { return absl::StrCat("session\n", tenant); }

absl::Status NoSession(absl::string_view reason) {
  return absl::NotFoundError(
      absl::StrCat("there is no such session (", reason, "): send initialize again"));
}

}  // namespace

SessionToken NewSessionToken(Negotiated negotiated) {
  return {.id = NewUuidV4(), .negotiated = std::move(negotiated)};
}

absl::StatusOr<std::string> SealSessionToken(const SessionToken& token, const TextSealer& sealer,
                                             absl::string_view tenant, absl::Time now) {
  const ClientCapabilities& client = token.negotiated.client;
  return sealer.Seal(
      absl::StrCat(token.id, " ", token.negotiated.version, " ",
                   LogLevelName(token.negotiated.log_level), " ", client.roots ? "r" : "",
                   client.sampling ? "s" : "", client.elicitation_form ? "f" : "",
                   client.elicitation_url ? "u" : ""),
      Purpose(tenant), now + kLifetime);
}

absl::StatusOr<SessionToken> OpenSessionToken(absl::string_view text, const TextSealer& sealer,
                                              absl::string_view tenant, absl::Time now) {
  const absl::StatusOr<std::string> opened = sealer.Open(text, Purpose(tenant), now);
  if (!opened.ok()) return NoSession(opened.status().message());
  const std::vector<std::string> fields = absl::StrSplit(*opened, ' ');
  const std::optional<LogLevel> level = fields.size() == 4 ? ReadLogLevel(fields[2]) : std::nullopt;
  // Of a gateway that is newer or older than this one.
  if (!level.has_value() || !IsSessionVersion(fields[1])) return NoSession("of another server");
  const auto can = [&fields](const char* letter) { return absl::StrContains(fields[3], letter); };
  return SessionToken{.id = fields[0],
                      .negotiated = {.version = fields[1],
                                     .client = {.roots = can("r"),
                                                .sampling = can("s"),
                                                .elicitation_form = can("f"),
                                                .elicitation_url = can("u")},
                                     .log_level = *level}};
}

}  // namespace contree::gateway
