#ifndef CONTREE_SERVICE_WATCH_REACTORS_H_
#define CONTREE_SERVICE_WATCH_REACTORS_H_

// WatchOperation and WatchOperations as callback reactors: a thousand watchers cost no thread.
// Nothing here blocks; the followers' threads and gRPC's push each reactor forward.

#include <grpcpp/support/server_callback.h>

#include "common/rpc/call_context.h"
#include "contree-service/operations/operation_tracker.h"
#include "contree/v1/contree_service.pb.h"

namespace contree {

// The reactors of one call each; they delete themselves. The tracker must outlive them.
grpc::ServerWriteReactor<v1::WatchOperationResponse>* NewWatchOperationReactor(
    OperationTracker* tracker, const v1::WatchOperationRequest& request,
    const CallContext& context);
grpc::ServerWriteReactor<v1::WatchOperationsResponse>* NewWatchOperationsReactor(
    OperationTracker* tracker, const v1::WatchOperationsRequest& request,
    const CallContext& context);

}  // namespace contree

#endif  // CONTREE_SERVICE_WATCH_REACTORS_H_
