#ifndef GATEWAY_WEB_WEB_SITE_H_
#define GATEWAY_WEB_WEB_SITE_H_

// The pages for people, beside MCP on the gateway's HTTP port:
//
//   /             what this server is and serves (reference_page.h)
//   /console      images and operations, live; a page that asks /console/api (console_api.h)
//   /assets/NAME  styles and scripts of both
//
// Pages load nothing from elsewhere and run no script that is not a file of this server.

#include "common/http/http_server.h"
#include "gateway/mcp/mcp_server.h"
#include "gateway/mcp/services.h"
#include "gateway/transport/http_admission.h"
#include "gateway/web/console_api.h"
#include "gateway/web/reference_page.h"

namespace contree::gateway {

// Thread-safe.
class WebSite {
 public:
  // What `catalog` names and `services` must outlive it.
  WebSite(const Catalog& catalog, const Services& services)
      : reference_(catalog), console_(catalog.tools, services) {}

  // Answers a request whose Host and Origin were checked. The pages are everybody's; what the
  // console asks is answered to those that `admission` lets in. False: it is for none of these.
  bool Handle(HttpExchange& exchange, const HttpAdmission& admission) const;

 private:
  const ReferencePage reference_;
  const ConsoleApi console_;
};

}  // namespace contree::gateway

#endif  // GATEWAY_WEB_WEB_SITE_H_
