// Ids of operations, the newest first.

#include "absl/strings/match.h"
#include "common/status/status_macros.h"
#include "gateway/completions/completion.h"
#include "gateway/tools/unary_call.h"

namespace contree::gateway {
namespace {

using Stub = contree::v1::ContreeService::StubInterface;

// An id is typed by somebody who has just seen it.
constexpr int kMaxOperations = 200;

absl::StatusOr<std::vector<std::string>> Complete(contree::v1::OperationKind kind,
                                                  const CompletionRequest& request,
                                                  const RequestContext& context,
                                                  const Services& services) {
  contree::v1::ListOperationsRequest list;
  list.set_limit(kMaxOperations);
  list.set_kind(kind);
  ASSIGN_OR_RETURN(const contree::v1::ListOperationsResponse response,
                   CallUnary(*services.contree, &Stub::ListOperations, list, context.call));
  std::vector<std::string> ids;
  for (const contree::v1::Operation& operation : response.operations()) {
    if (absl::StartsWith(operation.id(), request.value)) ids.push_back(operation.id());
  }
  return ids;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> CompleteAnyOperation(const CompletionRequest& request,
                                                              RequestContext& context,
                                                              const Services& services) {
  return Complete(contree::v1::OPERATION_KIND_UNSPECIFIED, request, context, services);
}

absl::StatusOr<std::vector<std::string>> CompleteInstance(const CompletionRequest& request,
                                                          RequestContext& context,
                                                          const Services& services) {
  return Complete(contree::v1::OPERATION_KIND_INSTANCE, request, context, services);
}

absl::StatusOr<std::vector<std::string>> CompleteImport(const CompletionRequest& request,
                                                        RequestContext& context,
                                                        const Services& services) {
  return Complete(contree::v1::OPERATION_KIND_IMAGE_IMPORT, request, context, services);
}

}  // namespace contree::gateway
