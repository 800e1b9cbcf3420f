#include "gateway/resources/resource_registry.h"

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/status/status_macros.h"
#include "common/telemetry/logging.h"
#include "gateway/jsonrpc/error.h"
#include "gateway/resources/uri_template.h"

namespace contree::gateway {
namespace {

using nlohmann::ordered_json;

// The members that resources and templates share, those without a value left out.
void AddDescription(ordered_json& json, const std::string& name, const std::string& title,
                    const std::string& description, const std::string& mime_type) {
  json["name"] = name;
  if (!title.empty()) json["title"] = title;
  if (!description.empty()) json["description"] = description;
  if (!mime_type.empty()) json["mimeType"] = mime_type;
}

ordered_json Describe(const Resource& resource) {
  ordered_json json = {{"uri", resource.uri}};
  AddDescription(json, resource.name, resource.title, resource.description, resource.mime_type);
  return json;
}

ordered_json Describe(const ResourceTemplate& resource) {
  ordered_json json = {{"uriTemplate", resource.uri_template}};
  AddDescription(json, resource.name, resource.title, resource.description, resource.mime_type);
  return json;
}

template <typename T>
std::string ListOf(const char* member, const std::vector<T>& items) {
  ordered_json list = ordered_json::array();
  for (const T& item : items) list.push_back(Describe(item));
  return ordered_json{{member, std::move(list)}}.dump();
}

}  // namespace

struct ResourceRegistry::Entry {
  std::string text;  // the URI, or the template as it is written
  UriTemplate uri_template;
  bool is_template;
  CacheHints cache;
  ResourceHandler handler;
  WatchHandler watch;
};

ResourceRegistry::ResourceRegistry(std::vector<Resource> resources,
                                   std::vector<ResourceTemplate> templates,
                                   const Services& services)
    : services_(services),
      list_json_(ListOf("resources", resources)),
      templates_json_(ListOf("resourceTemplates", templates)) {
  const auto add = [this](std::string text, bool is_template, const auto& item) {
    absl::StatusOr<UriTemplate> parsed = UriTemplate::Parse(text);
    if (!parsed.ok()) {
      LogError("the table of resources is wrong", {{"error", parsed.status().ToString()}});
      std::abort();
    }
    entries_.push_back({.text = std::move(text),
                        .uri_template = *std::move(parsed),
                        .is_template = is_template,
                        .cache = item.cache,
                        .handler = item.handler,
                        .watch = item.watch});
  };
  for (const Resource& resource : resources) add(resource.uri, false, resource);
  for (const ResourceTemplate& item : templates) add(item.uri_template, true, item);
}

ResourceRegistry::~ResourceRegistry() = default;

bool ResourceRegistry::IsEmpty() const { return entries_.empty(); }

bool ResourceRegistry::HasWatches() const {
  for (const Entry& entry : entries_) {
    if (entry.watch != nullptr) return true;
  }
  return false;
}

bool ResourceRegistry::HasTemplate(absl::string_view uri_template) const {
  for (const Entry& entry : entries_) {
    if (entry.is_template && entry.text == uri_template) return true;
  }
  return false;
}

absl::StatusOr<ResourceRegistry::Found> ResourceRegistry::Find(const std::string& uri) const {
  for (const Entry& entry : entries_) {
    if (!entry.is_template) {
      if (entry.text == uri) return Found{&entry, {.uri = uri, .parameters = {}}};
    } else if (auto parameters = entry.uri_template.Match(uri)) {
      return Found{&entry, {.uri = uri, .parameters = *std::move(parameters)}};
    }
  }
  return ResourceNotFound(uri, "nothing has this URI; resources/templates/list says what there is");
}

absl::StatusOr<ResourceRegistry::ReadResult> ResourceRegistry::Read(const std::string& uri,
                                                                    RequestContext& context) const {
  ASSIGN_OR_RETURN(const Found found, Find(uri));
  absl::StatusOr<ResourceContent> content = found.entry->handler(found.request, context, services_);
  if (absl::IsNotFound(content.status()) || absl::IsInvalidArgument(content.status())) {
    return ResourceNotFound(uri, content.status().message());
  }
  if (!content.ok()) return content.status();
  const CacheHints cache = content->cache.value_or(found.entry->cache);
  return ReadResult{*std::move(content), cache};
}

absl::StatusOr<std::unique_ptr<ResourceWatch>> ResourceRegistry::Watch(
    const std::string& uri, const CallContext& context, ResourceChanged on_change) const {
  ASSIGN_OR_RETURN(const Found found, Find(uri));
  if (found.entry->watch == nullptr) return nullptr;
  return found.entry->watch(found.request, context, services_, std::move(on_change));
}

}  // namespace contree::gateway
