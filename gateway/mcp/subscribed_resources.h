#ifndef GATEWAY_MCP_SUBSCRIBED_RESOURCES_H_
#define GATEWAY_MCP_SUBSCRIBED_RESOURCES_H_

// The resources whose changes one client wants to hear of. No thread waits for any of them.

#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "common/rpc/call_context.h"
#include "gateway/mcp/progress.h"
#include "gateway/resources/resource_registry.h"

namespace contree::gateway {

// Thread-safe. Destroying it waits until `sink` is not called any more, so it must not happen
// there.
class SubscribedResources {
 public:
  // `resources` must outlive it. `sink` takes notifications/resources/updated, from any thread.
  // `subscription_id_json` (empty: none) goes into the _meta of each.
  SubscribedResources(const ResourceRegistry& resources, NotificationSink sink,
                      const std::string& subscription_id_json = "");
  ~SubscribedResources();
  SubscribedResources(const SubscribedResources&) = delete;
  SubscribedResources& operator=(const SubscribedResources&) = delete;

  // Twice is once. ResourceNotFound (see jsonrpc/error.h). ResourceExhausted: there are 1,000.
  absl::Status Add(const std::string& uri, const CallContext& context);
  // What was not added is not missed.
  void Remove(const std::string& uri);

  // Until Release, notifications are held back.
  void Hold();
  void Release();

 private:
  class Outlet;

  const ResourceRegistry& resources_;
  const std::shared_ptr<Outlet> outlet_;
  absl::Mutex mutex_;
  // nullptr: it never tells anything.
  std::map<std::string, std::unique_ptr<ResourceWatch>> watches_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace contree::gateway

#endif  // GATEWAY_MCP_SUBSCRIBED_RESOURCES_H_
