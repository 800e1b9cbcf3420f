#include "contree-service/lineage_handlers.h"

#include <iterator>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "contree-service/api/operation_json.h"

namespace contree {
namespace {

// The platform does not (or no longer) show it to this token: what is known without it still
// counts.
bool IsWithheld(const absl::Status& status) {
  return absl::IsNotFound(status) || absl::IsPermissionDenied(status) ||
         absl::IsUnimplemented(status);
}

StoreScope ScopeOf(const ContreeApi& api, const CallContext& context) {
  return {.tenant = context.tenant, .platform = api.platform()};
}

}  // namespace

absl::Status LineageHandlers::ReadList(const ContreeApi& api, const CallContext& context) {
  // A long history is read over several calls: each keeps half of its time for the answer.
  const absl::Time now = clock_->Now();
  const absl::Status read = list_.Read(api, context, now + (context.deadline - now) / 2);
  return IsWithheld(read) ? absl::OkStatus() : read;
}

absl::StatusOr<bool> LineageHandlers::LearnOrigin(const ContreeApi& api, const std::string& image,
                                                  const CallContext& context) {
  const auto found = api.GetImage(image, context);
  if (IsWithheld(found.status())) return false;
  if (!found.ok()) return found.status();
  if (found->operation_id().empty()) return false;
  const auto snapshot = api.GetOperation(found->operation_id(), context);
  if (IsWithheld(snapshot.status())) return false;
  if (!snapshot.ok()) return snapshot.status();
  const v1::Operation& operation = snapshot->operation;
  if (!IsFinal(operation.state()) || operation.result_image() != image ||
      operation.image() == image) {
    return false;
  }
  RETURN_IF_ERROR(store_->PutFinal(ScopeOf(api, context), operation, clock_->Now()));
  return true;
}

absl::Status LineageHandlers::LearnDetails(const ContreeApi& api, const CallContext& context,
                                           ImageOrigin* origin) {
  if (origin->is_detailed) return absl::OkStatus();
  const auto snapshot = api.GetOperation(origin->operation_id, context);
  if (IsWithheld(snapshot.status())) return absl::OkStatus();
  if (!snapshot.ok()) return snapshot.status();
  if (!IsFinal(snapshot->operation.state())) return absl::OkStatus();
  const StoreScope scope = ScopeOf(api, context);
  RETURN_IF_ERROR(store_->PutFinal(scope, snapshot->operation, clock_->Now()));
  ASSIGN_OR_RETURN(std::optional<ImageOrigin> detailed, store_->FindOrigin(scope, origin->image));
  if (detailed.has_value()) *origin = *std::move(detailed);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<ImageOrigin>> LineageHandlers::Ancestry(const ContreeApi& api,
                                                                   const std::string& image,
                                                                   const CallContext& context) {
  const StoreScope scope = ScopeOf(api, context);
  std::vector<ImageOrigin> ancestry;
  absl::flat_hash_set<std::string> seen;
  std::string next = image;
  while (!next.empty() && !seen.contains(next)) {
    ASSIGN_OR_RETURN(std::vector<ImageOrigin> further, store_->FindAncestry(scope, next));
    if (further.empty()) {
      ASSIGN_OR_RETURN(const bool learned, LearnOrigin(api, next, context));
      if (!learned) break;
      continue;
    }
    for (ImageOrigin& origin : further) {
      if (!seen.insert(origin.image).second) break;
      next = origin.parent;
      ancestry.push_back(std::move(origin));
    }
  }
  if (!ancestry.empty()) {
    RETURN_IF_ERROR(LearnDetails(api, context, &ancestry.front()));
    if (ancestry.back().parent.empty())
      RETURN_IF_ERROR(LearnDetails(api, context, &ancestry.back()));
  }
  return ancestry;
}

absl::StatusOr<v1::GetImageLineageResponse> LineageHandlers::GetImageLineage(
    const v1::GetImageLineageRequest& request, const CallContext& context) {
  ASSIGN_OR_RETURN(const ContreeApi api, apis_->ApiFor(context));
  ASSIGN_OR_RETURN(const std::string image, resolver_->Resolve(api, request.image(), context));
  RETURN_IF_ERROR(ReadList(api, context));
  ASSIGN_OR_RETURN(const std::vector<ImageOrigin> ancestry, Ancestry(api, image, context));
  ASSIGN_OR_RETURN(const std::vector<ImageOrigin> children,
                   store_->FindChildren(ScopeOf(api, context), image));

  v1::GetImageLineageResponse response;
  v1::ImageLineage& lineage = *response.mutable_lineage();
  lineage.set_image(image);
  lineage.set_is_known(!ancestry.empty() || !children.empty());
  for (const ImageOrigin& child : children) lineage.add_children(child.image);
  for (const ImageOrigin& origin : ancestry) {
    if (!origin.parent.empty()) lineage.add_ancestors(origin.parent);
  }
  lineage.set_depth(lineage.ancestors_size());
  if (lineage.depth() > 0) {
    const ImageOrigin& made = ancestry.front();
    lineage.mutable_parent()->set_image(made.parent);
    lineage.mutable_parent()->set_command(made.command);
    lineage.mutable_parent()->set_exit_code(made.exit_code);
    lineage.mutable_parent()->set_operation_id(made.operation_id);
  }
  lineage.mutable_root()->set_image(lineage.depth() > 0 ? *lineage.ancestors().rbegin() : image);
  if (!ancestry.empty() && ancestry.back().parent.empty()) {
    lineage.mutable_root()->set_is_import(true);
    lineage.mutable_root()->set_registry_url(ancestry.back().registry_url);
  }
  return response;
}

absl::Status LineageHandlers::ListImageOrigins(
    const v1::ListImageOriginsRequest& request, const CallContext& context,
    absl::FunctionRef<absl::Status(const v1::ListImageOriginsResponse&, bool is_last)> sink) {
  constexpr int kDefaultLimit = 10'000;
  constexpr int kMaxLimit = 100'000;
  constexpr int kMaxPerMessage = 1000;
  if (request.limit() < 0 || request.limit() > kMaxLimit) {
    return absl::InvalidArgumentError(
        absl::StrCat("limit is ", request.limit(), "; it must be from 1 to ", kMaxLimit));
  }
  ASSIGN_OR_RETURN(const ContreeApi api, apis_->ApiFor(context));
  RETURN_IF_ERROR(ReadList(api, context));
  ASSIGN_OR_RETURN(const std::vector<ImageOrigin> origins,
                   store_->ListOrigins(ScopeOf(api, context),
                                       request.limit() == 0 ? kDefaultLimit : request.limit()));
  v1::ListImageOriginsResponse response;
  for (const ImageOrigin& origin : origins) {
    if (response.origins_size() == kMaxPerMessage) {
      RETURN_IF_ERROR(sink(response, false));
      response.Clear();
    }
    v1::ImageOrigin& shown = *response.add_origins();
    shown.set_image(origin.image);
    shown.set_parent(origin.parent);
    shown.set_command(origin.command);
    shown.set_exit_code(origin.exit_code);
    shown.set_operation_id(origin.operation_id);
    shown.set_registry_url(origin.registry_url);
    shown.set_layer_bytes(origin.layer_bytes);
    shown.set_principal(origin.principal);
  }
  return sink(response, true);
}

}  // namespace contree
