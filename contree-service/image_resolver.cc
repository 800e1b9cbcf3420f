#include "contree-service/image_resolver.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "contree-service/image_reference.h"

namespace contree {
namespace {

constexpr absl::Duration kRemembered = absl::Seconds(5);
// Far more than anybody uses within seconds; beyond it all are asked for anew.
constexpr size_t kMaxTags = 1024;
constexpr size_t kMaxScopes = 4096;

std::string ScopeKey(absl::string_view base_url, absl::string_view tenant) {
  return absl::StrCat(base_url, absl::string_view("\0", 1), tenant);
}

}  // namespace

absl::StatusOr<std::string> ImageResolver::Ask(const ContreeApi& api, absl::string_view tag,
                                               const CallContext& context) {
  auto uuid = api.ResolveTag(tag, context);
  if (absl::IsNotFound(uuid.status())) {
    return absl::NotFoundError(
        absl::StrCat("no image has the tag ", tag, " (list_images shows what there is)"));
  }
  return uuid;
}

absl::StatusOr<std::string> ImageResolver::Resolve(const ContreeApi& api,
                                                   absl::string_view reference,
                                                   const CallContext& context) {
  ASSIGN_OR_RETURN(ImageArgument image, ParseImageArgument(reference));
  if (!image.uuid.empty()) return std::move(image.uuid);
  const std::string key = ScopeKey(api.base_url(), context.tenant);
  // From before the question: what moves while the answer travels makes it old.
  const absl::Time asked = clock_->Now();
  uint64_t generation = 0;
  {
    absl::MutexLock lock(&mutex_);
    if (scopes_.size() >= kMaxScopes && !scopes_.contains(key)) scopes_.clear();
    Scope& scope = scopes_[key];
    if (scope.generation == 0) scope.generation = ++generations_;
    const auto known = scope.by_tag.find(image.tag);
    if (known != scope.by_tag.end() && asked < known->second.until) return known->second.uuid;
    generation = scope.generation;
  }
  ASSIGN_OR_RETURN(std::string uuid, Ask(api, image.tag, context));
  absl::MutexLock lock(&mutex_);
  const auto scope = scopes_.find(key);
  if (scope == scopes_.end() || scope->second.generation != generation) return uuid;
  if (scope->second.by_tag.size() >= kMaxTags) scope->second.by_tag.clear();
  scope->second.by_tag[image.tag] = {.uuid = uuid, .until = asked + kRemembered};
  return uuid;
}

absl::StatusOr<std::string> ImageResolver::ResolveNow(const ContreeApi& api,
                                                      absl::string_view reference,
                                                      const CallContext& context) {
  ASSIGN_OR_RETURN(ImageArgument image, ParseImageArgument(reference));
  if (!image.uuid.empty()) return std::move(image.uuid);
  return Ask(api, image.tag, context);
}

void ImageResolver::Forget(absl::string_view base_url, absl::string_view tenant) {
  absl::MutexLock lock(&mutex_);
  const auto scope = scopes_.find(ScopeKey(base_url, tenant));
  if (scope == scopes_.end()) return;  // a later one gets a generation of its own
  scope->second.generation = ++generations_;
  scope->second.by_tag.clear();
}

}  // namespace contree
