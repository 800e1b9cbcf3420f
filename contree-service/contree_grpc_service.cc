#include "contree-service/contree_grpc_service.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/rpc/grpc_context.h"
#include "common/rpc/sync_call.h"
#include "common/status/grpc_status.h"
#include "common/telemetry/logging.h"
#include "contree-service/watch_reactors.h"

namespace contree {
namespace {

grpc::Status EndCall(const char* method, const CallContext& context, absl::Time started,
                     const absl::Status& status) {
  LogFields fields = {
      {"method", method},
      {"request_id", context.request_id},
      {"code", absl::StatusCodeToString(status.code())},
      {"milliseconds", absl::StrCat(absl::ToInt64Milliseconds(absl::Now() - started))}};
  if (!status.ok()) fields.emplace_back("error", std::string(status.message()));
  LogInfo("rpc", fields);
  return ToGrpcStatus(status);
}

void NotAudited(const CallContext&, const absl::Status&) {}

// A unary method: `handler` takes the request and the context and returns absl::StatusOr<Response>.
// `audit` is called once *response is complete.
template <typename Handlers, typename Request, typename Response>
grpc::Status Unary(
    const char* method, const grpc::ServerContext* server_context, TimerQueue& timers,
    Handlers* handlers,
    absl::StatusOr<Response> (Handlers::*handler)(const Request&, const CallContext&),
    const Request& request, Response* response,
    absl::FunctionRef<void(const CallContext&, const absl::Status&)> audit = NotAudited) {
  const absl::Time started = absl::Now();
  const SyncCall call(server_context, &timers);
  absl::StatusOr<Response> result = (handlers->*handler)(request, call.context());
  if (result.ok()) *response = std::move(*result);
  audit(call.context(), result.status());
  return EndCall(method, call.context(), started, result.status());
}

// A method that answers with a stream: `handler` hands each message to a sink.
template <typename Handlers, typename Request, typename Response>
grpc::Status Streaming(const char* method, const grpc::ServerContext* server_context,
                       TimerQueue& timers, Handlers* handlers,
                       absl::Status (Handlers::*handler)(
                           const Request&, const CallContext&,
                           absl::FunctionRef<absl::Status(const Response&, bool is_last)>),
                       const Request& request, grpc::ServerWriter<Response>* writer) {
  const absl::Time started = absl::Now();
  const SyncCall call(server_context, &timers);
  const absl::Status status =
      (handlers->*handler)(request, call.context(), [&](const Response& response, bool is_last) {
        // The last one leaves together with the status, in one packet.
        grpc::WriteOptions options;
        if (is_last) options.set_last_message();
        return writer->Write(response, options) ? absl::OkStatus()
                                                : absl::CancelledError("the caller left");
      });
  return EndCall(method, call.context(), started, status);
}

}  // namespace

grpc::Status ContreeGrpcService::ListImages(grpc::ServerContext* context,
                                            const v1::ListImagesRequest* request,
                                            v1::ListImagesResponse* response) {
  return Unary("ListImages", context, timers_, images_, &ImageHandlers::ListImages, *request,
               response);
}

grpc::Status ContreeGrpcService::GetImage(grpc::ServerContext* context,
                                          const v1::GetImageRequest* request,
                                          v1::GetImageResponse* response) {
  return Unary("GetImage", context, timers_, images_, &ImageHandlers::GetImage, *request, response);
}

grpc::Status ContreeGrpcService::SetTag(grpc::ServerContext* context,
                                        const v1::SetTagRequest* request,
                                        v1::SetTagResponse* response) {
  return Unary("SetTag", context, timers_, images_, &ImageHandlers::SetTag, *request, response,
               [&](const CallContext& caller, const absl::Status& outcome) {
                 audit_log_->Record(request->tag().empty() ? "untag" : "tag", caller,
                                    {{"image", request->image()}, {"tag", request->tag()}},
                                    outcome);
               });
}

grpc::Status ContreeGrpcService::GetImageLineage(grpc::ServerContext* context,
                                                 const v1::GetImageLineageRequest* request,
                                                 v1::GetImageLineageResponse* response) {
  return Unary("GetImageLineage", context, timers_, lineage_, &LineageHandlers::GetImageLineage,
               *request, response);
}

grpc::Status ContreeGrpcService::ListImageOrigins(
    grpc::ServerContext* context, const v1::ListImageOriginsRequest* request,
    grpc::ServerWriter<v1::ListImageOriginsResponse>* writer) {
  return Streaming("ListImageOrigins", context, timers_, lineage_,
                   &LineageHandlers::ListImageOrigins, *request, writer);
}

grpc::Status ContreeGrpcService::RunInstance(grpc::ServerContext* context,
                                             const v1::RunInstanceRequest* request,
                                             v1::RunInstanceResponse* response) {
  return Unary("RunInstance", context, timers_, operations_, &OperationHandlers::RunInstance,
               *request, response, [&](const CallContext& caller, const absl::Status& outcome) {
                 audit_log_->Record("run", caller,
                                    {{"image", request->image()},
                                     {"command", absl::StrCat(request->command(),
                                                              request->args().empty() ? "" : " ",
                                                              absl::StrJoin(request->args(), " "))},
                                     {"operation_id", response->operation_id()}},
                                    outcome);
               });
}

grpc::Status ContreeGrpcService::ImportImage(grpc::ServerContext* context,
                                             const v1::ImportImageRequest* request,
                                             v1::ImportImageResponse* response) {
  return Unary("ImportImage", context, timers_, operations_, &OperationHandlers::ImportImage,
               *request, response, [&](const CallContext& caller, const absl::Status& outcome) {
                 audit_log_->Record("import", caller,
                                    {{"registry_url", request->registry_url()},
                                     {"tag", request->tag()},
                                     {"operation_id", response->operation_id()}},
                                    outcome);
               });
}

grpc::Status ContreeGrpcService::GetOperation(grpc::ServerContext* context,
                                              const v1::GetOperationRequest* request,
                                              v1::GetOperationResponse* response) {
  return Unary("GetOperation", context, timers_, operations_, &OperationHandlers::GetOperation,
               *request, response);
}

grpc::Status ContreeGrpcService::ListOperations(grpc::ServerContext* context,
                                                const v1::ListOperationsRequest* request,
                                                v1::ListOperationsResponse* response) {
  return Unary("ListOperations", context, timers_, operations_, &OperationHandlers::ListOperations,
               *request, response);
}

grpc::Status ContreeGrpcService::CancelOperation(grpc::ServerContext* context,
                                                 const v1::CancelOperationRequest* request,
                                                 v1::CancelOperationResponse* response) {
  return Unary(
      "CancelOperation", context, timers_, operations_, &OperationHandlers::CancelOperation,
      *request, response, [&](const CallContext& caller, const absl::Status& outcome) {
        audit_log_->Record("cancel", caller, {{"operation_id", request->operation_id()}}, outcome);
      });
}

grpc::Status ContreeGrpcService::ListFiles(grpc::ServerContext* context,
                                           const v1::ListFilesRequest* request,
                                           grpc::ServerWriter<v1::ListFilesResponse>* writer) {
  return Streaming("ListFiles", context, timers_, files_, &FileHandlers::ListFiles, *request,
                   writer);
}

grpc::Status ContreeGrpcService::ReadFile(grpc::ServerContext* context,
                                          const v1::ReadFileRequest* request,
                                          grpc::ServerWriter<v1::ReadFileResponse>* writer) {
  return Streaming("ReadFile", context, timers_, files_, &FileHandlers::ReadFile, *request, writer);
}

grpc::Status ContreeGrpcService::ReadArchive(grpc::ServerContext* context,
                                             const v1::ReadArchiveRequest* request,
                                             grpc::ServerWriter<v1::ReadArchiveResponse>* writer) {
  return Streaming("ReadArchive", context, timers_, files_, &FileHandlers::ReadArchive, *request,
                   writer);
}

grpc::Status ContreeGrpcService::Grep(grpc::ServerContext* context, const v1::GrepRequest* request,
                                      v1::GrepResponse* response) {
  return Unary("Grep", context, timers_, files_, &FileHandlers::Grep, *request, response);
}

grpc::Status ContreeGrpcService::FindFiles(grpc::ServerContext* context,
                                           const v1::FindFilesRequest* request,
                                           v1::FindFilesResponse* response) {
  return Unary("FindFiles", context, timers_, files_, &FileHandlers::FindFiles, *request, response);
}

grpc::Status ContreeGrpcService::UploadFile(grpc::ServerContext* context,
                                            grpc::ServerReader<v1::UploadFileRequest>* reader,
                                            v1::UploadFileResponse* response) {
  const absl::Time started = absl::Now();
  const SyncCall call(context, &timers_);
  absl::StatusOr<v1::UploadFileResponse> result = files_->UploadFile(
      [&]() -> absl::StatusOr<std::optional<v1::UploadFileRequest>> {
        v1::UploadFileRequest message;
        if (reader->Read(&message)) return message;
        // A caller who left half-way must not leave half a file behind.
        if (context->IsCancelled())
          return absl::CancelledError("the caller left in the middle of the upload");
        return std::nullopt;
      },
      call.context());
  if (result.ok()) *response = std::move(*result);
  audit_log_->Record("upload", call.context(),
                     {{"file", response->file().uuid()}, {"sha256", response->file().sha256()}},
                     result.status());
  return EndCall("UploadFile", call.context(), started, result.status());
}

grpc::Status ContreeGrpcService::UploadFiles(grpc::ServerContext* context,
                                             const v1::UploadFilesRequest* request,
                                             v1::UploadFilesResponse* response) {
  return Unary("UploadFiles", context, timers_, files_, &FileHandlers::UploadFiles, *request,
               response, [&](const CallContext& caller, const absl::Status& outcome) {
                 if (!outcome.ok()) audit_log_->Record("upload", caller, {}, outcome);
                 for (const auto& one : response->outcomes()) {
                   audit_log_->Record(
                       "upload", caller,
                       {{"file", one.file().uuid()}, {"sha256", one.file().sha256()}},
                       absl::Status(static_cast<absl::StatusCode>(one.code()), one.message()));
                 }
               });
}

grpc::Status ContreeGrpcService::GetIdentity(grpc::ServerContext* context,
                                             const v1::GetIdentityRequest* request,
                                             v1::GetIdentityResponse* response) {
  return Unary("GetIdentity", context, timers_, images_, &ImageHandlers::GetIdentity, *request,
               response);
}

grpc::ServerWriteReactor<v1::WatchOperationResponse>* ContreeGrpcService::WatchOperation(
    grpc::CallbackServerContext* context, const v1::WatchOperationRequest* request) {
  return NewWatchOperationReactor(tracker_, *request, IncomingCall(*context));
}

grpc::ServerWriteReactor<v1::WatchOperationsResponse>* ContreeGrpcService::WatchOperations(
    grpc::CallbackServerContext* context, const v1::WatchOperationsRequest* request) {
  return NewWatchOperationsReactor(tracker_, *request, IncomingCall(*context));
}

}  // namespace contree
