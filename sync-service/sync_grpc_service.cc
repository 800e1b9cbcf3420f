#include "sync-service/sync_grpc_service.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/rpc/grpc_context.h"
#include "common/rpc/sync_call.h"
#include "common/status/grpc_status.h"
#include "common/telemetry/logging.h"
#include "sync-service/sync_reactor.h"

namespace contree {
namespace {

// Each may hold tens of megabytes of a large tree.
constexpr int kMaxSyncs = 64;

class RefusedSync final
    : public grpc::ServerBidiReactor<sync::v1::SyncRequest, sync::v1::SyncResponse> {
 public:
  explicit RefusedSync(const absl::Status& why) { Finish(ToGrpcStatus(why)); }
  void OnDone() override { delete this; }
};

}  // namespace

grpc::ServerBidiReactor<sync::v1::SyncRequest, sync::v1::SyncResponse>* SyncGrpcService::Sync(
    grpc::CallbackServerContext* context) {
  if (++syncs_ > kMaxSyncs) {
    --syncs_;
    return new RefusedSync(absl::ResourceExhaustedError(absl::StrCat(
        kMaxSyncs, " syncs are under way, which is as many as are taken: sync again later")));
  }
  return NewSyncReactor(parts_, pool_, IncomingCall(*context), [this] { --syncs_; });
}

grpc::Status SyncGrpcService::GetDirectoryState(
    grpc::ServerContext* context, const sync::v1::GetDirectoryStateRequest* request,
    grpc::ServerWriter<sync::v1::GetDirectoryStateResponse>* writer) {
  const absl::Time started = absl::Now();
  const SyncCall call(context, &timers_);
  const absl::Status status = states_->GetDirectoryState(
      *request, call.context(),
      [&](const sync::v1::GetDirectoryStateResponse& response, bool is_last) {
        grpc::WriteOptions options;
        if (is_last) options.set_last_message();
        return writer->Write(response, options) ? absl::OkStatus()
                                                : absl::CancelledError("the caller left");
      });
  LogFields fields = {
      {"method", "GetDirectoryState"},
      {"request_id", call.context().request_id},
      {"code", absl::StatusCodeToString(status.code())},
      {"milliseconds", absl::StrCat(absl::ToInt64Milliseconds(absl::Now() - started))}};
  if (!status.ok()) fields.emplace_back("error", std::string(status.message()));
  LogInfo("rpc", fields);
  return ToGrpcStatus(status);
}

}  // namespace contree
