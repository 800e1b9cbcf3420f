#include "gateway/mcp/subscribed_resources.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "gateway/jsonrpc/message.h"

namespace contree::gateway {
namespace {

constexpr size_t kMaxResources = 1000;

}  // namespace

// Outlives watches that are just being destroyed.
class SubscribedResources::Outlet {
 public:
  Outlet(NotificationSink sink, const std::string& subscription_id_json)
      : sink_(std::move(sink)),
        meta_(subscription_id_json.empty()
                  ? ""
                  : absl::StrCat(R"(,"_meta":{"io.modelcontextprotocol/subscriptionId":)",
                                 subscription_id_json, "}")) {}

  void Say(const std::string& uri) {
    absl::MutexLock lock(&mutex_);
    if (held_) {
      changed_.insert(uri);
    } else {
      Send(uri);
    }
  }
  void Hold() {
    absl::MutexLock lock(&mutex_);
    held_ = true;
  }
  void Release() {
    absl::MutexLock lock(&mutex_);
    held_ = false;
    for (const std::string& uri : std::exchange(changed_, {})) Send(uri);
  }

 private:
  void Send(const std::string& uri) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    sink_(SerializeNotification("notifications/resources/updated",
                                absl::StrCat(R"({"uri":)", ToJsonString(uri), meta_, "}")));
  }

  // Held while sending: it keeps what was held back before what comes after.
  absl::Mutex mutex_;
  const NotificationSink sink_;
  const std::string meta_;
  bool held_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<std::string> changed_ ABSL_GUARDED_BY(mutex_);
};

SubscribedResources::SubscribedResources(const ResourceRegistry& resources, NotificationSink sink,
                                         const std::string& subscription_id_json)
    : resources_(resources),
      outlet_(std::make_shared<Outlet>(std::move(sink), subscription_id_json)) {}

SubscribedResources::~SubscribedResources() = default;

absl::Status SubscribedResources::Add(const std::string& uri, const CallContext& context) {
  {
    absl::MutexLock lock(&mutex_);
    if (watches_.contains(uri)) return absl::OkStatus();
    if (watches_.size() >= kMaxResources) {
      return absl::ResourceExhaustedError(
          absl::StrCat("there are ", kMaxResources, " subscriptions already; end some first"));
    }
  }
  ASSIGN_OR_RETURN(std::unique_ptr<ResourceWatch> watch,
                   resources_.Watch(uri, context, [outlet = outlet_, uri](bool /*is_final*/) {
                     outlet->Say(uri);
                   }));
  {
    absl::MutexLock lock(&mutex_);
    // Two threads that add the same at once: the first stays, the other goes outside the lock.
    if (!watches_.contains(uri)) watches_[uri] = std::move(watch);
  }
  return absl::OkStatus();
}

void SubscribedResources::Remove(const std::string& uri) {
  std::unique_ptr<ResourceWatch> removed;  // ends outside the lock: it waits for its callback
  {
    absl::MutexLock lock(&mutex_);
    const auto found = watches_.find(uri);
    if (found == watches_.end()) return;
    removed = std::move(found->second);
    watches_.erase(found);
  }
}

void SubscribedResources::Hold() { outlet_->Hold(); }
void SubscribedResources::Release() { outlet_->Release(); }

}  // namespace contree::gateway
