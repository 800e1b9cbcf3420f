#include "gateway/web/web_site.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "gateway/web/site_texts.h"

namespace contree::gateway {
namespace {

struct Asset {
  absl::string_view path;
  absl::string_view type;
  absl::string_view content;
};

// nullptr: there is none.
const Asset* FindAsset(absl::string_view path) {
  static const Asset kAssets[] = {
      {"/assets/site.css", "text/css; charset=utf-8", site_texts::site_css},
      {"/assets/page.js", "text/javascript; charset=utf-8", site_texts::page_js},
      {"/assets/console.js", "text/javascript; charset=utf-8", site_texts::console_js},
      {"/assets/icon.svg", "image/svg+xml", site_texts::icon_svg},
  };
  for (const Asset& asset : kAssets) {
    if (asset.path == path) return &asset;
  }
  return nullptr;
}

void RespondPage(HttpExchange& exchange, absl::string_view type, std::string content) {
  exchange.SetHeader(
      "Content-Security-Policy",
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
      "connect-src 'self'; base-uri 'none'; form-action 'none'; "
      "frame-ancestors 'none'");
  exchange.SetHeader("X-Content-Type-Options", "nosniff");
  exchange.SetHeader("Referrer-Policy", "no-referrer");
  exchange.SetHeader("Cross-Origin-Opener-Policy", "same-origin");
  // They change when the program does, and come from nearby.
  exchange.SetHeader("Cache-Control", "no-cache");
  exchange.Respond(200, std::string(type), std::move(content));
}

// Where the reader of a page reaches this server. Proxies that end TLS say so.
std::string McpUrl(const HttpExchange& exchange) {
  const bool is_https = exchange.Header("X-Forwarded-Proto").value_or("") == "https";
  return absl::StrCat(is_https ? "https://" : "http://", exchange.Header("Host").value_or(""),
                      "/mcp");
}

}  // namespace

bool WebSite::Handle(HttpExchange& exchange, const HttpAdmission& admission) const {
  absl::string_view path = exchange.path();
  if (absl::ConsumePrefix(&path, "/console/api/")) {
    console_.Handle(exchange, path, admission);
    return true;
  }
  const bool is_read = exchange.method() == "GET" || exchange.method() == "HEAD";
  if (!is_read) return false;
  if (path == "/") {
    RespondPage(exchange, "text/html; charset=utf-8", reference_.For(McpUrl(exchange)));
    return true;
  }
  if (path == "/console" || path == "/console/") {
    RespondPage(exchange, "text/html; charset=utf-8", std::string(site_texts::console_html));
    return true;
  }
  const Asset* asset = FindAsset(path);
  if (asset == nullptr) return false;
  RespondPage(exchange, asset->type, std::string(asset->content));
  return true;
}

}  // namespace contree::gateway
