#ifndef GATEWAY_MCP_SERVER_INFO_H_
#define GATEWAY_MCP_SERVER_INFO_H_

// What the server says it is.

#include <string>

#include "absl/strings/string_view.h"

namespace contree::gateway {

inline constexpr absl::string_view kServerName = "contree-mcp";
inline constexpr absl::string_view kServerTitle = "ConTree";
inline constexpr absl::string_view kServerVersion = "0.1.0";
// A trunk and its branches, 48 by 48, as a data: URI: it needs no second server.
inline constexpr absl::string_view kServerIcon =
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAADAAAAAwAQMAAABtzGvEAAAABlBMVEUAAAAfek1voPHTAAAAAnRSTlMA/1uRIrUA"
    "AACISURBVHjaY2DADxrAJPsHECnA/4MFSP3j/2HfwMD4n/9H/QEgJf8HTIF5zP/7f/x/gJBj/wCmGA8AKYb/jQf+"
    "A40TP3jwC9AU5sePH4Coh4dBFOPH4wdAVvw8D7aw9j4DEmX/D0zJ/wFT/D+QKYjLGJgfgCnGAyTyoNpRzYRSWO1D"
    "tRYaPEgAAC3MRbZD9XYYAAAAAElFTkSuQmCC";

// The object of MCP that says it. With the icon it is four times as long.
std::string ServerInfoJson(bool with_icons);

}  // namespace contree::gateway

#endif  // GATEWAY_MCP_SERVER_INFO_H_
