#ifndef CONTREE_SERVICE_CONTREE_GRPC_SERVICE_H_
#define CONTREE_SERVICE_CONTREE_GRPC_SERVICE_H_

// The gRPC edge of contree-service: each method makes a CallContext, calls its handler, converts
// the status and logs one line. Unary calls and bounded streams use the synchronous API, watches
// the callback API (which must never block).

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>
#include <grpcpp/support/status.h>
#include <grpcpp/support/sync_stream.h>

#include "common/time/timer_queue.h"
#include "contree-service/audit_log.h"
#include "contree-service/file_handlers.h"
#include "contree-service/image_handlers.h"
#include "contree-service/lineage_handlers.h"
#include "contree-service/operation_handlers.h"
#include "contree-service/operations/operation_tracker.h"
#include "contree/v1/contree_service.grpc.pb.h"

namespace contree {

// Thread-safe.
class ContreeGrpcService final
    : public v1::ContreeService::WithCallbackMethod_WatchOperation<
          v1::ContreeService::WithCallbackMethod_WatchOperations<v1::ContreeService::Service>> {
 public:
  // All must outlive it.
  ContreeGrpcService(ImageHandlers* images, FileHandlers* files, OperationHandlers* operations,
                     LineageHandlers* lineage, OperationTracker* tracker, const AuditLog* audit_log)
      : images_(images),
        files_(files),
        operations_(operations),
        lineage_(lineage),
        tracker_(tracker),
        audit_log_(audit_log) {}

  grpc::Status ListImages(grpc::ServerContext* context, const v1::ListImagesRequest* request,
                          v1::ListImagesResponse* response) override;
  grpc::Status GetImage(grpc::ServerContext* context, const v1::GetImageRequest* request,
                        v1::GetImageResponse* response) override;
  grpc::Status SetTag(grpc::ServerContext* context, const v1::SetTagRequest* request,
                      v1::SetTagResponse* response) override;
  grpc::Status GetImageLineage(grpc::ServerContext* context,
                               const v1::GetImageLineageRequest* request,
                               v1::GetImageLineageResponse* response) override;
  grpc::Status ListImageOrigins(grpc::ServerContext* context,
                                const v1::ListImageOriginsRequest* request,
                                grpc::ServerWriter<v1::ListImageOriginsResponse>* writer) override;
  grpc::Status RunInstance(grpc::ServerContext* context, const v1::RunInstanceRequest* request,
                           v1::RunInstanceResponse* response) override;
  grpc::Status ImportImage(grpc::ServerContext* context, const v1::ImportImageRequest* request,
                           v1::ImportImageResponse* response) override;
  grpc::Status GetOperation(grpc::ServerContext* context, const v1::GetOperationRequest* request,
                            v1::GetOperationResponse* response) override;
  grpc::Status ListOperations(grpc::ServerContext* context,
                              const v1::ListOperationsRequest* request,
                              v1::ListOperationsResponse* response) override;
  grpc::Status CancelOperation(grpc::ServerContext* context,
                               const v1::CancelOperationRequest* request,
                               v1::CancelOperationResponse* response) override;
  grpc::Status ListFiles(grpc::ServerContext* context, const v1::ListFilesRequest* request,
                         grpc::ServerWriter<v1::ListFilesResponse>* writer) override;
  grpc::Status ReadFile(grpc::ServerContext* context, const v1::ReadFileRequest* request,
                        grpc::ServerWriter<v1::ReadFileResponse>* writer) override;
  grpc::Status ReadArchive(grpc::ServerContext* context, const v1::ReadArchiveRequest* request,
                           grpc::ServerWriter<v1::ReadArchiveResponse>* writer) override;
  grpc::Status Grep(grpc::ServerContext* context, const v1::GrepRequest* request,
                    v1::GrepResponse* response) override;
  grpc::Status FindFiles(grpc::ServerContext* context, const v1::FindFilesRequest* request,
                         v1::FindFilesResponse* response) override;
  grpc::Status UploadFile(grpc::ServerContext* context,
                          grpc::ServerReader<v1::UploadFileRequest>* reader,
                          v1::UploadFileResponse* response) override;
  grpc::Status UploadFiles(grpc::ServerContext* context, const v1::UploadFilesRequest* request,
                           v1::UploadFilesResponse* response) override;
  grpc::Status GetIdentity(grpc::ServerContext* context, const v1::GetIdentityRequest* request,
                           v1::GetIdentityResponse* response) override;
  grpc::ServerWriteReactor<v1::WatchOperationResponse>* WatchOperation(
      grpc::CallbackServerContext* context, const v1::WatchOperationRequest* request) override;
  grpc::ServerWriteReactor<v1::WatchOperationsResponse>* WatchOperations(
      grpc::CallbackServerContext* context, const v1::WatchOperationsRequest* request) override;

 private:
  ImageHandlers* const images_;
  FileHandlers* const files_;
  OperationHandlers* const operations_;
  LineageHandlers* const lineage_;
  OperationTracker* const tracker_;
  const AuditLog* const audit_log_;
  TimerQueue timers_;
};

}  // namespace contree

#endif  // CONTREE_SERVICE_CONTREE_GRPC_SERVICE_H_
