#ifndef SYNC_SERVICE_SYNC_REACTOR_H_
#define SYNC_SERVICE_SYNC_REACTOR_H_

// Sync as a callback reactor: a walker that reads its disk for an hour costs no thread here. What a
// message causes may wait for the stores and for contree-service, so it runs on a pool.

#include <grpcpp/support/server_callback.h>

#include <functional>

#include "common/rpc/call_context.h"
#include "common/threads/growing_thread_pool.h"
#include "contree/sync/v1/sync_service.pb.h"
#include "sync-service/sync_session.h"

namespace contree {

// The reactor of one call; it deletes itself. Pool and parts must outlive it. `ended` is called at
// its very end.
grpc::ServerBidiReactor<sync::v1::SyncRequest, sync::v1::SyncResponse>* NewSyncReactor(
    const SyncParts& parts, GrowingThreadPool* pool, const CallContext& context,
    std::function<void()> ended);

}  // namespace contree

#endif  // SYNC_SERVICE_SYNC_REACTOR_H_
