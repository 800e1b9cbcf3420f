#include "contree-service/contree_service.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/files/state_directory.h"
#include "common/http/http_stream_loop.h"
#include "common/status/status_macros.h"
#include "common/time/clock.h"
#include "common/time/daily_task.h"
#include "contree-service/api/api_directory.h"
#include "contree-service/audit_log.h"
#include "contree-service/contree_grpc_service.h"
#include "contree-service/file_handlers.h"
#include "contree-service/image_handlers.h"
#include "contree-service/image_resolver.h"
#include "contree-service/lineage_handlers.h"
#include "contree-service/operation_handlers.h"
#include "contree-service/operations/operation_recovery.h"
#include "contree-service/operations/operation_tracker.h"
#include "contree-service/store/contree_store.h"

namespace contree {
namespace {

class AssembledContreeService final : public ContreeService {
 public:
  AssembledContreeService(std::unique_ptr<ContreeStore> store,
                          std::unique_ptr<HttpStreamLoop> streams,
                          std::unique_ptr<AuditLog> audit_log,
                          const OperationTrackerOptions& tracking, TenantLimits* limits,
                          ApiEndpointSource* endpoints)
      : store_(std::move(store)),
        streams_(std::move(streams)),
        audit_log_(std::move(audit_log)),
        apis_(endpoints, &clock_),
        resolver_(&clock_),
        tracker_(WithFinalRecordsTold(tracking), &apis_, store_.get(), streams_.get(), &clock_),
        images_(&apis_, &resolver_),
        files_(&apis_, &resolver_, limits),
        operations_(&apis_, &resolver_, store_.get(), &tracker_, &clock_, limits),
        lineage_(&apis_, &resolver_, store_.get(), &clock_),
        grpc_service_(&images_, &files_, &operations_, &lineage_, &tracker_, audit_log_.get()),
        recovery_(&apis_, store_.get(), &tracker_, &clock_),
        retention_("dropping old records from the store", &clock_,
                   [this](absl::Time now) { return store_->DropOld(now); }) {}

  grpc::Service* grpc_service() override { return &grpc_service_; }
  void Stop() override {
    recovery_.Stop();
    tracker_.Stop();
  }

 private:
  OperationTrackerOptions WithFinalRecordsTold(OperationTrackerOptions options) {
    options.on_final = [this](const FinishedOperation& finished) {
      // The image's tag was set with the end of its import.
      if (finished.operation.kind() == v1::OPERATION_KIND_IMAGE_IMPORT)
        resolver_.Forget(finished.base_url, finished.tenant);
      audit_log_->RecordEnd(finished.tenant, finished.operation);
    };
    return options;
  }

  RealClock clock_;
  const std::unique_ptr<ContreeStore> store_;
  const std::unique_ptr<HttpStreamLoop> streams_;
  const std::unique_ptr<AuditLog> audit_log_;
  ApiDirectory apis_;
  ImageResolver resolver_;
  OperationTracker tracker_;
  ImageHandlers images_;
  FileHandlers files_;
  OperationHandlers operations_;
  LineageHandlers lineage_;
  ContreeGrpcService grpc_service_;
  OperationRecovery recovery_;
  DailyTask retention_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ContreeService>> ContreeService::Create(
    const ContreeServiceOptions& options, ApiEndpointSource* endpoints) {
  ASSIGN_OR_RETURN(const std::string directory, MakePrivateDirectory(options.state_dir));
  RealClock clock;
  ASSIGN_OR_RETURN(auto store,
                   ContreeStore::Open(absl::StrCat(directory, "/contree.db"), clock.Now()));
  ASSIGN_OR_RETURN(auto streams, HttpStreamLoop::Create());
  OperationTrackerOptions tracking;
  tracking.follow.max_silence = options.max_stream_silence;
  static RealClock& wall_clock = *new RealClock();
  ASSIGN_OR_RETURN(auto audit_log, AuditLog::Open(options.audit_log, &wall_clock));
  return std::make_unique<AssembledContreeService>(std::move(store), std::move(streams),
                                                   std::move(audit_log), tracking, options.limits,
                                                   endpoints);
}

}  // namespace contree
