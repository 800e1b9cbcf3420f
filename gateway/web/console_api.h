#ifndef GATEWAY_WEB_CONSOLE_API_H_
#define GATEWAY_WEB_CONSOLE_API_H_

// What the console's pages ask, below /console/api. It makes the same gRPC calls as the tools and
// keeps nothing.
//
//   GET  tree                          {"images": […], "truncated"}: every image with how it came
//                                      to be
//   GET  operations?limit=N            {"operations": […]}, the newest first
//   GET  operations/ID                 the record
//   GET  operations/ID/events          server-sent events: "output" {stream, text | base64},
//                                      "state" {state}, at last "completed" (the record) or
//                                      "failed"
//   GET  syncs                         {"syncs": […]}: those of this gateway, going on and ended,
//                                      the newest first
//   GET  file?image=&path=[&max=N]     a file's bytes, or its first N; to be saved, not shown,
//        [&inline]                     unless it is a picture and `inline` asks for it
//   POST tools/NAME                    the result of the tool, as MCP has it; the body: its
//   arguments
//
// A POST must carry the header X-Contree-Console, which no page of another origin can send without
// being asked first; requests that a browser says come from another site are refused. Each request
// carries its token itself, as MCP's do. Errors are {"error": {"message"}}.

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/http/http_server.h"
#include "gateway/mcp/caller.h"
#include "gateway/mcp/services.h"
#include "gateway/tools/tool_registry.h"
#include "gateway/transport/http_admission.h"

namespace contree::gateway {

// Thread-safe.
class ConsoleApi {
 public:
  // Both must outlive it.
  ConsoleApi(const ToolRegistry& tools, const Services& services)
      : tools_(tools), services_(services) {}

  // `route` is what stands behind "/console/api/" in the request's path.
  void Handle(HttpExchange& exchange, absl::string_view route,
              const HttpAdmission& admission) const;

 private:
  void SendTree(const Caller& caller, HttpExchange& exchange) const;
  void SendOperations(const Caller& caller, HttpExchange& exchange) const;
  void SendOperation(const Caller& caller, HttpExchange& exchange,
                     const std::string& operation_id) const;
  void SendEvents(const Caller& caller, HttpExchange& exchange,
                  const std::string& operation_id) const;
  void SendSyncs(const Caller& caller, HttpExchange& exchange) const;
  void SendFile(const Caller& caller, HttpExchange& exchange) const;
  void CallTool(const Caller& caller, HttpExchange& exchange, absl::string_view name,
                const HttpAdmission& admission) const;

  const ToolRegistry& tools_;
  const Services& services_;
};

}  // namespace contree::gateway

#endif  // GATEWAY_WEB_CONSOLE_API_H_
