#ifndef GATEWAY_WEB_CONNECT_SECTION_H_
#define GATEWAY_WEB_CONNECT_SECTION_H_

// How each MCP client is told of this server.

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace contree::gateway {

// A way to connect one client. Texts of commands and files have the server's address in them.
struct ConnectionGuide {
  absl::string_view client;  // "Claude Code"
  absl::string_view where;   // what to do with the text: a sentence
  std::string text;          // what to run or to paste
};

// `mcp_url` is where the server is reached, such as "http://127.0.0.1:9452/mcp".
std::vector<ConnectionGuide> ConnectionGuides(absl::string_view mcp_url);

}  // namespace contree::gateway

#endif  // GATEWAY_WEB_CONNECT_SECTION_H_
