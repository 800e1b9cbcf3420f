#include "contree-service/operation_handlers.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "common/telemetry/logging.h"
#include "contree-service/image_reference.h"
#include "contree-service/request_checks.h"

namespace contree {
namespace {

// The command line as lineage shows it: as it was given.
std::string CommandLine(const v1::RunInstanceRequest& request) {
  std::string line = request.command();
  for (const std::string& arg : request.args()) absl::StrAppend(&line, " ", arg);
  return line;
}

StoreScope ScopeOf(const ContreeApi& api, const CallContext& context) {
  return {.tenant = context.tenant, .platform = api.platform()};
}

}  // namespace

absl::StatusOr<std::unique_ptr<TenantLimits::Place>> OperationHandlers::TakePlace(
    const CallContext& context) {
  if (limits_ == nullptr) return std::unique_ptr<TenantLimits::Place>();
  return limits_->TakeOperation(context.tenant, [this, &context] {
    return static_cast<int64_t>(tracker_->running_count(context.tenant));
  });
}

absl::StatusOr<v1::RunInstanceResponse> OperationHandlers::RunInstance(
    const v1::RunInstanceRequest& request, const CallContext& context) {
  RETURN_IF_ERROR(CheckRunInstance(request));
  ASSIGN_OR_RETURN(const ImageArgument image, ParseImageArgument(request.image()));
  ASSIGN_OR_RETURN(const ContreeApi api, apis_->ApiFor(context));
  ASSIGN_OR_RETURN(const auto place, TakePlace(context));
  v1::RunInstanceResponse response;
  // The platform resolves the tag itself: one exchange less, and no moment in which the tag can
  // move.
  ASSIGN_OR_RETURN(*response.mutable_operation_id(),
                   api.StartInstance(request, image.ForApi(), context));
  Remember(api,
           {.id = response.operation_id(),
            .kind = v1::OPERATION_KIND_INSTANCE,
            .command = CommandLine(request),
            .image = image.ForApi(),
            .created_at = clock_->Now(),
            .principal = context.principal},
           context);
  return response;
}

absl::StatusOr<v1::ImportImageResponse> OperationHandlers::ImportImage(
    const v1::ImportImageRequest& request, const CallContext& context) {
  RETURN_IF_ERROR(CheckImportImage(request));
  ASSIGN_OR_RETURN(const ContreeApi api, apis_->ApiFor(context));
  ASSIGN_OR_RETURN(const auto place, TakePlace(context));
  v1::ImportImageResponse response;
  ASSIGN_OR_RETURN(*response.mutable_operation_id(), api.StartImport(request, context));
  Remember(api,
           {.id = response.operation_id(),
            .kind = v1::OPERATION_KIND_IMAGE_IMPORT,
            .command = "",
            .image = "",
            .created_at = clock_->Now(),
            .principal = context.principal},
           context);
  return response;
}

void OperationHandlers::Remember(const ContreeApi& api, const StartedOperation& operation,
                                 const CallContext& context) {
  // Following begins before the row is written, so that the end is known as early as can be.
  if (const absl::Status followed = tracker_->Follow(context.tenant, operation.id);
      !followed.ok()) {
    LogWarning("an operation is not followed yet",
               {{"operation", operation.id}, {"error", std::string(followed.message())}});
  }
  if (const absl::Status stored = store_->AddStarted(ScopeOf(api, context), operation);
      !stored.ok()) {
    LogError("a started operation could not be stored",
             {{"operation", operation.id}, {"error", std::string(stored.message())}});
  }
}

absl::StatusOr<v1::Operation> OperationHandlers::Current(const ContreeApi& api,
                                                         const std::string& id,
                                                         const CallContext& context) {
  ASSIGN_OR_RETURN(std::optional<v1::Operation> stored,
                   store_->FindFinal(ScopeOf(api, context), id));
  if (stored.has_value()) return *std::move(stored);
  ASSIGN_OR_RETURN(OperationSnapshot snapshot, api.GetOperation(id, context));
  if (IsFinal(snapshot.operation.state())) {
    const absl::Status kept =
        store_->PutFinal(ScopeOf(api, context), snapshot.operation, clock_->Now());
    if (!kept.ok()) {
      LogWarning("the final record of an operation could not be stored",
                 {{"operation", id}, {"error", std::string(kept.message())}});
    }
    // Its tag is on the new image now, and whoever learns that here may use it at once.
    if (snapshot.operation.kind() == v1::OPERATION_KIND_IMAGE_IMPORT)
      resolver_->Forget(api.base_url(), context.tenant);
  }
  return std::move(snapshot.operation);
}

absl::StatusOr<v1::GetOperationResponse> OperationHandlers::GetOperation(
    const v1::GetOperationRequest& request, const CallContext& context) {
  RETURN_IF_ERROR(CheckOperationId(request.operation_id()));
  ASSIGN_OR_RETURN(const ContreeApi api, apis_->ApiFor(context));
  v1::GetOperationResponse response;
  ASSIGN_OR_RETURN(*response.mutable_operation(), Current(api, request.operation_id(), context));
  RETURN_IF_ERROR(
      store_->FillStarted(ScopeOf(api, context), absl::MakeSpan(response.mutable_operation(), 1)));
  return response;
}

absl::StatusOr<v1::ListOperationsResponse> OperationHandlers::ListOperations(
    const v1::ListOperationsRequest& request, const CallContext& context) {
  RETURN_IF_ERROR(CheckPage(request.limit(), request.offset()));
  v1::ListOperationsRequest query = request;
  ASSIGN_OR_RETURN(*query.mutable_since(), CheckTimeBound("since", request.since()));
  ASSIGN_OR_RETURN(*query.mutable_until(), CheckTimeBound("until", request.until()));
  ASSIGN_OR_RETURN(const ContreeApi api, apis_->ApiFor(context));
  ASSIGN_OR_RETURN(std::vector<v1::Operation> operations, api.ListOperations(query, context));
  RETURN_IF_ERROR(store_->FillStarted(ScopeOf(api, context), absl::MakeSpan(operations)));
  v1::ListOperationsResponse response;
  for (v1::Operation& operation : operations) {
    // A platform that shows more in its list than the contract says does not make our list larger.
    operation.clear_instance();
    *response.add_operations() = std::move(operation);
  }
  return response;
}

absl::StatusOr<v1::CancelOperationResponse> OperationHandlers::CancelOperation(
    const v1::CancelOperationRequest& request, const CallContext& context) {
  const std::string& id = request.operation_id();
  RETURN_IF_ERROR(CheckOperationId(id));
  ASSIGN_OR_RETURN(const ContreeApi api, apis_->ApiFor(context));
  v1::CancelOperationResponse response;
  ASSIGN_OR_RETURN(std::optional<v1::Operation> stored,
                   store_->FindFinal(ScopeOf(api, context), id));
  if (stored.has_value()) {
    *response.mutable_operation() = *std::move(stored);
    return response;
  }
  const absl::Status asked = api.CancelOperation(id, context);
  if (absl::IsFailedPrecondition(asked)) {
    ASSIGN_OR_RETURN(*response.mutable_operation(), Current(api, id, context));
    if (IsFinal(response.operation().state())) return response;
    return asked;
  }
  RETURN_IF_ERROR(asked);
  ASSIGN_OR_RETURN(*response.mutable_operation(), tracker_->AwaitFinal(id, context));
  response.set_cancelled(response.operation().state() == v1::OPERATION_STATE_CANCELLED);
  return response;
}

}  // namespace contree
