#include "gateway/tools/state_files.h"

#include <utility>

#include "absl/status/status.h"
#include "common/rpc/grpc_context.h"
#include "common/status/grpc_status.h"
#include "common/status/status_macros.h"
#include "gateway/tools/sync_service_stub.h"
#include "gateway/tools/unary_call.h"

namespace contree::gateway {
namespace {

using contree::v1::GetImageRequest;
using contree::v1::RunInstanceRequest;
using contree::v1::RunInstanceResponse;
using Stub = contree::v1::ContreeService::StubInterface;

// `verify`: whether the platform is to be asked for every file.
absl::StatusOr<RunInstanceRequest> WithStateFiles(const Services& services, const std::string& id,
                                                  bool verify, RunInstanceRequest request,
                                                  const CallContext& context) {
  ASSIGN_OR_RETURN(const auto stub, SyncServiceStub(services));
  sync::v1::GetDirectoryStateRequest wanted;
  wanted.set_directory_state_id(id);
  wanted.set_verify(verify);
  OutgoingCall call(context);
  const auto reader = stub->GetDirectoryState(call.client_context(), wanted);
  sync::v1::GetDirectoryStateResponse response;
  auto& files = *request.mutable_files();
  while (reader->Read(&response)) {
    for (sync::v1::StateFile& file : *response.mutable_files()) {
      contree::v1::AttachedFile attached;
      attached.set_uuid(std::move(*file.mutable_file_uuid()));
      attached.set_mode(file.mode());
      files.insert({std::move(*file.mutable_path()), std::move(attached)});
    }
  }
  if (const grpc::Status status = reader->Finish(); !status.ok()) return FromGrpcStatus(status);
  return request;
}

}  // namespace

absl::StatusOr<RunInstanceResponse> RunWithDirectoryState(const Services& services,
                                                          const std::string& directory_state_id,
                                                          const RunInstanceRequest& request,
                                                          const CallContext& context) {
  Stub& stub = *services.contree;
  ASSIGN_OR_RETURN(
      RunInstanceRequest with_files,
      WithStateFiles(services, directory_state_id, /*verify=*/false, request, context));
  absl::StatusOr<RunInstanceResponse> response =
      CallUnary(stub, &Stub::RunInstance, with_files, context);
  if (!absl::IsNotFound(response.status())) return response;
  // The image, or a file that the platform has dropped since. Nothing was started.
  GetImageRequest image;
  image.set_image(request.image());
  if (!CallUnary(stub, &Stub::GetImage, image, context).ok()) return response;
  ASSIGN_OR_RETURN(with_files,
                   WithStateFiles(services, directory_state_id, /*verify=*/true, request, context));
  return CallUnary(stub, &Stub::RunInstance, with_files, context);
}

}  // namespace contree::gateway
