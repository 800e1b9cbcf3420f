#include "common/rpc/sync_call.h"

#include "absl/time/clock.h"
#include "common/rpc/grpc_context.h"

namespace contree {
namespace {
constexpr absl::Duration kLookEvery = absl::Milliseconds(25);
}  // namespace

SyncCall::SyncCall(const grpc::ServerContext* server_context, TimerQueue* timers)
    : server_context_(server_context),
      timers_(timers),
      context_(IncomingCall(*server_context)),
      log_(context_) {
  context_.stop = stop_.get_token();
  LookLater();
}

SyncCall::~SyncCall() {
  std::optional<TimerQueue::Id> timer;
  {
    absl::MutexLock lock(&mutex_);
    ended_ = true;
    timer = timer_;
  }
  if (timer.has_value()) timers_->Cancel(*timer);
}

void SyncCall::LookLater() {
  absl::MutexLock lock(&mutex_);
  if (ended_) return;
  timer_ = timers_->Add(absl::Now() + kLookEvery, [this] {
    if (server_context_->IsCancelled()) {
      stop_.request_stop();
    } else {
      LookLater();
    }
  });
}

}  // namespace contree
