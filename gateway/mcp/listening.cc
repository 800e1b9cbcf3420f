#include "gateway/mcp/listening.h"

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gateway/jsonrpc/error.h"
#include "gateway/mcp/server_info.h"

namespace contree::gateway {
namespace {

using nlohmann::json;

absl::StatusOr<std::vector<std::string>> ReadFilter(const json& params) {
  const auto filter = params.find("notifications");
  if (filter == params.end() || !filter->is_object()) {
    return InvalidParams("subscriptions/listen needs \"notifications\", an object");
  }
  for (const char* name : {"toolsListChanged", "promptsListChanged", "resourcesListChanged"}) {
    if (const auto flag = filter->find(name); flag != filter->end() && !flag->is_boolean()) {
      return InvalidParams(absl::StrCat("notifications.", name, " must be true or false"));
    }
  }
  std::vector<std::string> uris;
  const auto resources = filter->find("resourceSubscriptions");
  if (resources == filter->end()) return uris;
  if (!resources->is_array()) {
    return InvalidParams("notifications.resourceSubscriptions must be an array of URIs");
  }
  for (const json& uri : *resources) {
    if (!uri.is_string()) {
      return InvalidParams("notifications.resourceSubscriptions must be an array of URIs");
    }
    uris.push_back(uri.get<std::string>());
  }
  return uris;
}

std::string IdMember(const RequestId& id) {
  return absl::StrCat(R"("io.modelcontextprotocol/subscriptionId":)", id.json);
}

}  // namespace

absl::Status Listening::CheckRequest(const Message& request) {
  return ReadFilter(request.params()).status();
}

absl::StatusOr<std::unique_ptr<Listening>> Listening::Begin(const ResourceRegistry& resources,
                                                            const RequestId& id,
                                                            const Message& request,
                                                            const CallContext& context,
                                                            const NotificationSink& sink) {
  absl::StatusOr<std::vector<std::string>> uris = ReadFilter(request.params());
  if (!uris.ok()) return uris.status();
  std::unique_ptr<Listening> listening(new Listening(resources, id, sink));
  listening->subscribed_.Hold();
  std::vector<std::string> taken;
  for (const std::string& uri : *uris) {
    const absl::Status added = listening->subscribed_.Add(uri, context);
    if (added.ok()) {
      taken.push_back(ToJsonString(uri));
    } else if (absl::IsResourceExhausted(added)) {
      return InvalidParams(added.message());
    }
  }
  const std::string filter =
      taken.empty() ? ""
                    : absl::StrCat(R"("resourceSubscriptions":[)", absl::StrJoin(taken, ","), "]");
  sink(SerializeNotification(
      "notifications/subscriptions/acknowledged",
      absl::StrCat(R"({"notifications":{)", filter, R"(},"_meta":{)", IdMember(id), "}}")));
  listening->subscribed_.Release();
  return listening;
}

std::string Listening::EndAnswer() const {
  return SerializeResult(id_, absl::StrCat(R"({"resultType":"complete","_meta":{)", IdMember(id_),
                                           R"(,"io.modelcontextprotocol/serverInfo":)",
                                           ServerInfoJson(/*with_icons=*/false), "}}"));
}

}  // namespace contree::gateway
