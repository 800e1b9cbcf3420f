#include "contree-service/image_handlers.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "common/status/status_macros.h"
#include "contree-service/api/contree_api.h"
#include "contree-service/image_reference.h"
#include "contree-service/request_checks.h"

namespace contree {

absl::StatusOr<v1::ListImagesResponse> ImageHandlers::ListImages(
    const v1::ListImagesRequest& request, const CallContext& context) {
  RETURN_IF_ERROR(CheckPage(request.limit(), request.offset()));
  v1::ListImagesRequest query = request;
  ASSIGN_OR_RETURN(*query.mutable_since(), CheckTimeBound("since", request.since()));
  ASSIGN_OR_RETURN(*query.mutable_until(), CheckTimeBound("until", request.until()));
  ASSIGN_OR_RETURN(const ContreeApi api, apis_->ApiFor(context));
  ASSIGN_OR_RETURN(std::vector<v1::Image> images, api.ListImages(query, context));
  v1::ListImagesResponse response;
  for (v1::Image& image : images) *response.add_images() = std::move(image);
  return response;
}

absl::StatusOr<v1::GetImageResponse> ImageHandlers::GetImage(const v1::GetImageRequest& request,
                                                             const CallContext& context) {
  RETURN_IF_ERROR(ParseImageArgument(request.image()).status());
  ASSIGN_OR_RETURN(const ContreeApi api, apis_->ApiFor(context));
  ASSIGN_OR_RETURN(const std::string uuid, resolver_->Resolve(api, request.image(), context));
  v1::GetImageResponse response;
  ASSIGN_OR_RETURN(*response.mutable_image(), api.GetImage(uuid, context));
  return response;
}

absl::StatusOr<v1::SetTagResponse> ImageHandlers::SetTag(const v1::SetTagRequest& request,
                                                         const CallContext& context) {
  ASSIGN_OR_RETURN(const ImageArgument image, ParseImageArgument(request.image()));
  if (!request.tag().empty()) RETURN_IF_ERROR(CheckTag(request.tag()));
  ASSIGN_OR_RETURN(const ContreeApi api, apis_->ApiFor(context));
  ASSIGN_OR_RETURN(const std::string uuid, resolver_->ResolveNow(api, request.image(), context));
  v1::SetTagResponse response;
  // Whatever comes of it: one that seems to have failed may have moved the tag too.
  const absl::Cleanup forget = [&] { resolver_->Forget(api.base_url(), context.tenant); };
  if (!request.tag().empty()) {
    ASSIGN_OR_RETURN(*response.mutable_image(), api.SetTag(uuid, request.tag(), context));
    return response;
  }
  // An image named by a tag loses that tag; one named by its UUID the one it has. Without one there
  // is nothing to do: whether the image exists is said by reading it.
  const absl::Status removed = api.RemoveTag(uuid, image.tag, context);
  if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
  ASSIGN_OR_RETURN(*response.mutable_image(), api.GetImage(uuid, context));
  return response;
}

absl::StatusOr<v1::GetIdentityResponse> ImageHandlers::GetIdentity(const v1::GetIdentityRequest&,
                                                                   const CallContext& context) {
  ASSIGN_OR_RETURN(const ContreeApi api, apis_->ApiFor(context));
  return api.WhoAmI(context);
}

}  // namespace contree
