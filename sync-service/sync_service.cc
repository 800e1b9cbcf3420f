#include "sync-service/sync_service.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/files/state_directory.h"
#include "common/status/status_macros.h"
#include "common/threads/growing_thread_pool.h"
#include "common/time/clock.h"
#include "common/time/daily_task.h"
#include "common/time/timer_queue.h"
#include "sync-service/directory_state_handlers.h"
#include "sync-service/platform_files.h"
#include "sync-service/store/state_store.h"
#include "sync-service/store/sync_cache.h"
#include "sync-service/sync_grpc_service.h"
#include "sync-service/sync_session.h"

namespace contree {
namespace {

// For steps of syncs that wait: a sync has one at a time.
constexpr size_t kMaxThreads = 32;

class AssembledSyncService final : public SyncService {
 public:
  AssembledSyncService(std::unique_ptr<SyncCache> cache, std::unique_ptr<StateStore> states)
      : cache_(std::move(cache)),
        states_(std::move(states)),
        state_handlers_(cache_.get(), states_.get(), &platform_, &clock_),
        pool_(kMaxThreads),
        grpc_service_({.cache = cache_.get(),
                       .states = states_.get(),
                       .platform = &platform_,
                       .timers = &timers_,
                       .clock = &clock_},
                      &state_handlers_, &pool_),
        retention_("dropping old directory states", &clock_, [this](absl::Time now) {
          RETURN_IF_ERROR(states_->DropOld(now));
          return cache_->DropOld(now);
        }) {}

  grpc::Service* grpc_service() override { return &grpc_service_; }
  void ConnectTo(const std::shared_ptr<grpc::Channel>& contree_service) override {
    platform_.ConnectTo(contree_service);
  }

 private:
  RealClock clock_;
  TimerQueue timers_;
  const std::unique_ptr<SyncCache> cache_;
  const std::unique_ptr<StateStore> states_;
  PlatformFiles platform_;
  DirectoryStateHandlers state_handlers_;
  GrowingThreadPool pool_;
  SyncGrpcService grpc_service_;
  DailyTask retention_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<SyncService>> SyncService::Create(
    const SyncServiceOptions& options) {
  ASSIGN_OR_RETURN(const std::string directory, MakePrivateDirectory(options.state_dir));
  RealClock clock;
  ASSIGN_OR_RETURN(auto states, StateStore::Open(absl::StrCat(directory, "/sync.db"), clock.Now()));
  ASSIGN_OR_RETURN(auto cache,
                   SyncCache::Open(absl::StrCat(directory, "/sync-cache.db"), clock.Now()));
  auto service = std::make_unique<AssembledSyncService>(std::move(cache), std::move(states));
  if (options.contree_service != nullptr) service->ConnectTo(options.contree_service);
  return service;
}

}  // namespace contree
