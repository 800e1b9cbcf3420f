#ifndef GATEWAY_RESOURCES_RESOURCE_H_
#define GATEWAY_RESOURCES_RESOURCE_H_

// What a resource is: a descriptor as the client sees it and the handler behind it. One file holds
// both; resource_table.cc lists them.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "gateway/mcp/input_required.h"
#include "gateway/mcp/request_context.h"
#include "gateway/mcp/services.h"

namespace contree::gateway {

// How long a client of 2026-07-28 may keep what it got, and whether others may be given it.
enum class CacheScope { kPrivate, kPublic };
struct CacheHints {
  absl::Duration ttl = absl::ZeroDuration();
  CacheScope scope = CacheScope::kPrivate;
};

struct ResourceContent {
  std::string mime_type;
  std::string data;     // bytes, also where they are text
  bool is_text = true;  // sent as it is and so must be UTF-8; otherwise as base64
  // Instead of the template's hints: a file of a UUID can be kept for ever, one of a tag cannot.
  std::optional<CacheHints> cache = std::nullopt;
  // Instead of content (see input_required.h).
  std::optional<InputRequired> input_required = std::nullopt;
};

struct ResourceRequest {
  std::string uri;  // as the client wrote it
  // The template's variables, percent-decoded, never empty; none for a Resource without variables.
  std::map<std::string, std::string> parameters;
};

// Called by many threads at once. NotFound and InvalidArgument tell the client that there is no
// such resource (-32602); other errors become internal ones with their message.
using ResourceHandler = absl::StatusOr<ResourceContent> (*)(const ResourceRequest& request,
                                                            RequestContext& context,
                                                            const Services& services);

// Tells about the changes of one resource while it lives. Destroying it ends that, and waits until
// no callback runs; so it must not be destroyed inside one.
class ResourceWatch {
 public:
  virtual ~ResourceWatch() = default;
};

// Called from any thread, also before the ResourceWatch is returned, never two at once. After
// `is_final` nothing changes any more and no call follows.
using ResourceChanged = std::function<void(bool is_final)>;

// Begins to watch; must not block and takes no thread while nothing changes. `services` outlives
// the watch.
using WatchHandler = absl::StatusOr<std::unique_ptr<ResourceWatch>> (*)(
    const ResourceRequest& request, const CallContext& context, const Services& services,
    ResourceChanged on_change);

// One that resources/list shows.
struct Resource {
  std::string uri;
  std::string name;
  std::string title;
  std::string description;
  std::string mime_type;
  CacheHints cache = {};
  ResourceHandler handler;
  WatchHandler watch = nullptr;  // nullptr: a subscription is taken, and never hears anything
};

// One that resources/templates/list shows.
struct ResourceTemplate {
  // "contree://image/{image}/read/{path}". A variable matches one or more characters other than
  // "/", and the last one, where the template ends with it, any characters. The first template
  // that fits is the one.
  std::string uri_template;
  std::string name;
  std::string title;
  std::string description;
  std::string mime_type;  // empty: it depends
  CacheHints cache = {};
  ResourceHandler handler;
  WatchHandler watch = nullptr;
};

}  // namespace contree::gateway

#endif  // GATEWAY_RESOURCES_RESOURCE_H_
