#ifndef GATEWAY_RESOURCES_RESOURCE_REGISTRY_H_
#define GATEWAY_RESOURCES_RESOURCE_REGISTRY_H_

// Resources by URI: resources/list, resources/templates/list, resources/read and what
// subscriptions watch, without the protocol around them.

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "gateway/resources/resource.h"

namespace contree::gateway {

// Thread-safe.
class ResourceRegistry {
 public:
  // A template that cannot be parsed ends the process: it is in the table. `services` must outlive
  // it.
  ResourceRegistry(std::vector<Resource> resources, std::vector<ResourceTemplate> templates,
                   const Services& services);
  ~ResourceRegistry();
  ResourceRegistry(const ResourceRegistry&) = delete;
  ResourceRegistry& operator=(const ResourceRegistry&) = delete;

  bool IsEmpty() const;
  // Whether any of them tells about its changes.
  bool HasWatches() const;

  // {"resources": […]} and {"resourceTemplates": […]}, in the order of the table; always the same.
  const std::string& ListJson() const { return list_json_; }
  const std::string& TemplatesJson() const { return templates_json_; }
  // Whether a template is so named, as references of completions name it.
  bool HasTemplate(absl::string_view uri_template) const;

  struct ReadResult {
    ResourceContent content;
    CacheHints cache;
  };
  // ResourceNotFound (see jsonrpc/error.h): nothing has this URI.
  absl::StatusOr<ReadResult> Read(const std::string& uri, RequestContext& context) const;

  // nullptr: the resource is there and never tells anything. ResourceNotFound.
  absl::StatusOr<std::unique_ptr<ResourceWatch>> Watch(const std::string& uri,
                                                       const CallContext& context,
                                                       ResourceChanged on_change) const;

 private:
  struct Entry;
  struct Found {
    const Entry* entry;
    ResourceRequest request;
  };
  absl::StatusOr<Found> Find(const std::string& uri) const;

  const Services& services_;
  std::vector<Entry> entries_;  // the resources, then the templates
  std::string list_json_;
  std::string templates_json_;
};

}  // namespace contree::gateway

#endif  // GATEWAY_RESOURCES_RESOURCE_REGISTRY_H_
