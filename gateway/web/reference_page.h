#ifndef GATEWAY_WEB_REFERENCE_PAGE_H_
#define GATEWAY_WEB_REFERENCE_PAGE_H_

// The page at "/": what this server is, how to connect to it, and all that it serves, made from the
// same tables as MCP's answers. It needs no script but for copying and searching.

#include <string>

#include "absl/strings/string_view.h"
#include "gateway/mcp/mcp_server.h"

namespace contree::gateway {

// Immutable, so thread-safe.
class ReferencePage {
 public:
  // The catalog is read here and not kept.
  explicit ReferencePage(const Catalog& catalog);

  // The page as HTML. `mcp_url` is where whoever reads it reaches the server.
  std::string For(absl::string_view mcp_url) const;

 private:
  std::string before_connect_;
  std::string after_connect_;
};

}  // namespace contree::gateway

#endif  // GATEWAY_WEB_REFERENCE_PAGE_H_
