#ifndef GATEWAY_MCP_CLIENT_CAPABILITIES_H_
#define GATEWAY_MCP_CLIENT_CAPABILITIES_H_

// What a client says that it can be asked for.

#include <nlohmann/json_fwd.hpp>

#include "absl/strings/string_view.h"

namespace contree::gateway {

struct ClientCapabilities {
  bool roots = false;
  bool sampling = false;
  bool elicitation_form = false;  // asks its user to fill in a form
  bool elicitation_url = false;   // asks its user to open a page

  // Whether it can be sent this request. `params` tell forms from pages.
  bool Allow(absl::string_view method, const nlohmann::ordered_json& params) const;

  friend bool operator==(const ClientCapabilities&, const ClientCapabilities&) = default;
};

// Reads the object `capabilities` of initialize and of 2026-07-28's _meta, which have one form.
// What is unknown is passed over.
ClientCapabilities ReadClientCapabilities(const nlohmann::json& capabilities);

// The capability that Allow missed, as an object of the same form: {"sampling":{}}.
nlohmann::ordered_json RequiredCapability(absl::string_view method,
                                          const nlohmann::ordered_json& params);

}  // namespace contree::gateway

#endif  // GATEWAY_MCP_CLIENT_CAPABILITIES_H_
