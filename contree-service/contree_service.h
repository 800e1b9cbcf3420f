#ifndef CONTREE_SERVICE_CONTREE_SERVICE_H_
#define CONTREE_SERVICE_CONTREE_SERVICE_H_

// contree-service as a part: its store, the followers of its operations and its gRPC service,
// without a server. Thread-safe. Whoever makes it runs grpc_service() in a server of his own and
// ends in this order: Stop() (watches end), drain the server, destroy.

#include <grpcpp/impl/codegen/service_type.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/limits/tenant_limits.h"
#include "contree-service/api_endpoint.h"

namespace contree {

struct ContreeServiceOptions {
  // Where the store lies (contree.db), made 0700 if missing.
  std::string state_dir;
  // A stream of events on which nothing comes for so long is connected anew.
  absl::Duration max_stream_silence = absl::Seconds(90);
  // A file to which each run, import, upload, tag and cancellation adds a line (audit_log.h); "-":
  // stderr; empty: none does.
  std::string audit_log = "";
  // What tenants may run at once and upload in a day; null: anything. Must outlive the service.
  TenantLimits* limits = nullptr;
};

class ContreeService {
 public:
  // Opens the store and begins to follow again, in the background, what an earlier run left
  // unfinished. `endpoints` must outlive the service; where nothing is unfinished, it is not asked
  // before the first call.
  // FailedPrecondition: a newer version wrote the store. DataLoss: the store is damaged.
  // PermissionDenied and others: state_dir cannot be used.
  static absl::StatusOr<std::unique_ptr<ContreeService>> Create(
      const ContreeServiceOptions& options, ApiEndpointSource* endpoints);
  virtual ~ContreeService() = default;  // stops

  virtual grpc::Service* grpc_service() = 0;

  // Ends every exchange with the platform and every watch (with UNAVAILABLE). Operations go on.
  // Idempotent.
  virtual void Stop() = 0;
};

}  // namespace contree

#endif  // CONTREE_SERVICE_CONTREE_SERVICE_H_
