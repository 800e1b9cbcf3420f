#ifndef SYNC_SERVICE_SYNC_GRPC_SERVICE_H_
#define SYNC_SERVICE_SYNC_GRPC_SERVICE_H_

// The gRPC edge of sync-service. Thread-safe.

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>
#include <grpcpp/support/status.h>
#include <grpcpp/support/sync_stream.h>

#include <atomic>

#include "common/threads/growing_thread_pool.h"
#include "common/time/timer_queue.h"
#include "contree/sync/v1/sync_service.grpc.pb.h"
#include "sync-service/directory_state_handlers.h"
#include "sync-service/sync_session.h"

namespace contree {

class SyncGrpcService final
    : public sync::v1::SyncService::WithCallbackMethod_Sync<sync::v1::SyncService::Service> {
 public:
  // All must outlive it.
  SyncGrpcService(const SyncParts& parts, DirectoryStateHandlers* states, GrowingThreadPool* pool)
      : parts_(parts), states_(states), pool_(pool) {}

  grpc::ServerBidiReactor<sync::v1::SyncRequest, sync::v1::SyncResponse>* Sync(
      grpc::CallbackServerContext* context) override;
  grpc::Status GetDirectoryState(
      grpc::ServerContext* context, const sync::v1::GetDirectoryStateRequest* request,
      grpc::ServerWriter<sync::v1::GetDirectoryStateResponse>* writer) override;

 private:
  const SyncParts parts_;
  DirectoryStateHandlers* const states_;
  GrowingThreadPool* const pool_;
  std::atomic<int> syncs_ = 0;  // under way
  TimerQueue timers_;
};

}  // namespace contree

#endif  // SYNC_SERVICE_SYNC_GRPC_SERVICE_H_
