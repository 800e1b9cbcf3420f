#ifndef CONTREE_SERVICE_OPERATION_HANDLERS_H_
#define CONTREE_SERVICE_OPERATION_HANDLERS_H_

// The RPCs that start, show and end operations. (Watching is in watch_reactors.h.) The errors are
// those of the proto.

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/limits/tenant_limits.h"
#include "common/rpc/call_context.h"
#include "common/time/clock.h"
#include "contree-service/api/api_directory.h"
#include "contree-service/image_resolver.h"
#include "contree-service/operations/operation_tracker.h"
#include "contree-service/store/contree_store.h"
#include "contree/v1/contree_service.pb.h"

namespace contree {

// Thread-safe.
class OperationHandlers {
 public:
  // All must outlive it. `limits` null: tenants run what they like.
  OperationHandlers(ApiDirectory* apis, ImageResolver* resolver, ContreeStore* store,
                    OperationTracker* tracker, Clock* clock, TenantLimits* limits = nullptr)
      : apis_(apis),
        resolver_(resolver),
        store_(store),
        tracker_(tracker),
        clock_(clock),
        limits_(limits) {}

  absl::StatusOr<v1::RunInstanceResponse> RunInstance(const v1::RunInstanceRequest& request,
                                                      const CallContext& context);
  absl::StatusOr<v1::ImportImageResponse> ImportImage(const v1::ImportImageRequest& request,
                                                      const CallContext& context);
  absl::StatusOr<v1::GetOperationResponse> GetOperation(const v1::GetOperationRequest& request,
                                                        const CallContext& context);
  absl::StatusOr<v1::ListOperationsResponse> ListOperations(
      const v1::ListOperationsRequest& request, const CallContext& context);
  absl::StatusOr<v1::CancelOperationResponse> CancelOperation(
      const v1::CancelOperationRequest& request, const CallContext& context);

 private:
  // To be held from before an operation is started until it is remembered; nullptr: no limits.
  // ResourceExhausted: the tenant runs as many as it may.
  absl::StatusOr<std::unique_ptr<TenantLimits::Place>> TakePlace(const CallContext& context);
  // An operation runs from here on: follows it and stores it. What fails must not hide its id.
  void Remember(const ContreeApi& api, const StartedOperation& operation,
                const CallContext& context);
  // From the store where it is final, else as the platform says now (stored if that is final).
  absl::StatusOr<v1::Operation> Current(const ContreeApi& api, const std::string& id,
                                        const CallContext& context);

  ApiDirectory* const apis_;
  ImageResolver* const resolver_;
  ContreeStore* const store_;
  OperationTracker* const tracker_;
  Clock* const clock_;
  TenantLimits* const limits_;
};

}  // namespace contree

#endif  // CONTREE_SERVICE_OPERATION_HANDLERS_H_
