#ifndef GATEWAY_MCP_LISTENING_H_
#define GATEWAY_MCP_LISTENING_H_

// One subscriptions/listen of revision 2026-07-28: a request whose answer comes when the server has
// nothing more to say. No thread waits for it.

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/rpc/call_context.h"
#include "gateway/jsonrpc/message.h"
#include "gateway/mcp/progress.h"
#include "gateway/mcp/subscribed_resources.h"

namespace contree::gateway {

// Thread-safe. Destroying it ends it without a word, and waits until `sink` is not called any more.
class Listening {
 public:
  // InvalidParams: the filter is malformed.
  static absl::Status CheckRequest(const Message& request);

  // Sends the acknowledgement to `sink`, then what changes. Lists never change here, and a URI that
  // nothing has is left out of what is acknowledged. InvalidParams (see jsonrpc/error.h): the
  // filter is malformed. `resources` must outlive it.
  static absl::StatusOr<std::unique_ptr<Listening>> Begin(const ResourceRegistry& resources,
                                                          const RequestId& id,
                                                          const Message& request,
                                                          const CallContext& context,
                                                          const NotificationSink& sink);

  // The answer that ends it, when the server does.
  std::string EndAnswer() const;

 private:
  Listening(const ResourceRegistry& resources, const RequestId& id, NotificationSink sink)
      : id_(id), subscribed_(resources, std::move(sink), id.json) {}

  const RequestId id_;
  SubscribedResources subscribed_;
};

}  // namespace contree::gateway

#endif  // GATEWAY_MCP_LISTENING_H_
