#ifndef COMMON_RPC_SYNC_CALL_H_
#define COMMON_RPC_SYNC_CALL_H_

// One call of gRPC's synchronous API: its CallContext with a stop token that is requested soon
// after the caller left, and its ids on each line that the handler logs.

#include <grpcpp/server_context.h>

#include <memory>
#include <optional>
#include <stop_token>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/rpc/call_context.h"
#include "common/rpc/call_log.h"
#include "common/time/timer_queue.h"

namespace contree {

// The synchronous API tells nobody that a caller left; it can only be asked. A call that lasts is
// asked every 25 ms. Lives in the handler, on its stack.
class SyncCall {
 public:
  // Both must outlive it.
  SyncCall(const grpc::ServerContext* server_context, TimerQueue* timers);
  ~SyncCall();
  SyncCall(const SyncCall&) = delete;
  SyncCall& operator=(const SyncCall&) = delete;

  const CallContext& context() const { return context_; }

 private:
  void LookLater();

  const grpc::ServerContext* const server_context_;
  TimerQueue* const timers_;
  std::stop_source stop_;
  CallContext context_;
  const CallLog log_;  // of the handler's thread
  absl::Mutex mutex_;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<TimerQueue::Id> timer_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace contree

#endif  // COMMON_RPC_SYNC_CALL_H_
