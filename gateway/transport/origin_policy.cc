#include "gateway/transport/origin_policy.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace contree::gateway {
namespace {

bool IsPort(absl::string_view text) {
  if (text.empty() || text.size() > 5) return false;
  for (const char c : text) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return false;
  }
  return true;
}

// "[::1]:80" → "::1"; nullopt where it is no host with or without a port.
std::optional<absl::string_view> HostPart(absl::string_view text) {
  absl::string_view host;
  absl::string_view rest;
  if (absl::ConsumePrefix(&text, "[")) {
    const size_t end = text.find(']');
    if (end == absl::string_view::npos) return std::nullopt;
    host = text.substr(0, end);
    rest = text.substr(end + 1);
  } else {
    const size_t end = text.find(':');
    host = text.substr(0, end);
    rest = end == absl::string_view::npos ? "" : text.substr(end);
  }
  if (!rest.empty() && (!absl::ConsumePrefix(&rest, ":") || !IsPort(rest))) return std::nullopt;
  return host;
}

constexpr size_t kMaxShownBytes = 100;

}  // namespace

OriginPolicy::OriginPolicy(const std::vector<std::string>& more_hosts)
    : hosts_({"localhost", "127.0.0.1", "::1"}) {
  for (const std::string& host : more_hosts) hosts_.insert(absl::AsciiStrToLower(host));
}

bool OriginPolicy::IsAllowed(absl::string_view host_and_port) const {
  const std::optional<absl::string_view> host = HostPart(host_and_port);
  return host.has_value() && hosts_.contains(absl::AsciiStrToLower(*host));
}

absl::Status OriginPolicy::Check(const std::optional<std::string>& host,
                                 const std::optional<std::string>& origin) const {
  if (!host.has_value()) return absl::PermissionDeniedError("the header Host is missing");
  if (!IsAllowed(*host)) {
    return absl::PermissionDeniedError(
        absl::StrCat("Host '", host->substr(0, kMaxShownBytes), "' is not a name of this server"));
  }
  if (!origin.has_value()) return absl::OkStatus();
  absl::string_view rest = *origin;
  if ((absl::ConsumePrefix(&rest, "http://") || absl::ConsumePrefix(&rest, "https://")) &&
      IsAllowed(rest)) {
    return absl::OkStatus();
  }
  return absl::PermissionDeniedError(
      absl::StrCat("Origin '", origin->substr(0, kMaxShownBytes), "' may not use this server"));
}

}  // namespace contree::gateway
