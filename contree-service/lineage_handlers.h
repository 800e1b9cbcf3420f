#ifndef CONTREE_SERVICE_LINEAGE_HANDLERS_H_
#define CONTREE_SERVICE_LINEAGE_HANDLERS_H_

// The RPCs that say where images came from: from the store, which is first brought up to date
// with the platform's list of operations; what that list no longer holds, the images themselves
// say. The errors are those of the proto.

#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/rpc/call_context.h"
#include "common/time/clock.h"
#include "contree-service/api/api_directory.h"
#include "contree-service/api/contree_api.h"
#include "contree-service/image_resolver.h"
#include "contree-service/operations/operations_list_reader.h"
#include "contree-service/store/contree_store.h"
#include "contree/v1/contree_service.pb.h"

namespace contree {

// Thread-safe.
class LineageHandlers {
 public:
  // All must outlive it.
  LineageHandlers(ApiDirectory* apis, ImageResolver* resolver, ContreeStore* store, Clock* clock)
      : apis_(apis), resolver_(resolver), store_(store), clock_(clock), list_(store, clock) {}

  absl::StatusOr<v1::GetImageLineageResponse> GetImageLineage(
      const v1::GetImageLineageRequest& request, const CallContext& context);

  // Hands the origins to `sink` in messages of bounded size; its error ends the call.
  absl::Status ListImageOrigins(
      const v1::ListImageOriginsRequest& request, const CallContext& context,
      absl::FunctionRef<absl::Status(const v1::ListImageOriginsResponse&, bool is_last)> sink);

 private:
  absl::Status ReadList(const ContreeApi& api, const CallContext& context);
  // The origins of `image` and its ancestors, asking the platform where the store knows no further.
  absl::StatusOr<std::vector<ImageOrigin>> Ancestry(const ContreeApi& api, const std::string& image,
                                                    const CallContext& context);
  // Stores what the platform says of the operation that made `image`. False: it says nothing.
  absl::StatusOr<bool> LearnOrigin(const ContreeApi& api, const std::string& image,
                                   const CallContext& context);
  // Adds what the list of operations does not show.
  absl::Status LearnDetails(const ContreeApi& api, const CallContext& context, ImageOrigin* origin);

  ApiDirectory* const apis_;
  ImageResolver* const resolver_;
  ContreeStore* const store_;
  Clock* const clock_;
  OperationsListReader list_;
};

}  // namespace contree

#endif  // CONTREE_SERVICE_LINEAGE_HANDLERS_H_
