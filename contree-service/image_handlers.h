#ifndef CONTREE_SERVICE_IMAGE_HANDLERS_H_
#define CONTREE_SERVICE_IMAGE_HANDLERS_H_

// The RPCs about images and the identity: validate, ask the platform, answer. The errors are those
// of the proto.

#include "absl/status/statusor.h"
#include "common/rpc/call_context.h"
#include "contree-service/api/api_directory.h"
#include "contree-service/image_resolver.h"
#include "contree/v1/contree_service.pb.h"

namespace contree {

// Thread-safe.
class ImageHandlers {
 public:
  // Both must outlive it.
  ImageHandlers(ApiDirectory* apis, ImageResolver* resolver) : apis_(apis), resolver_(resolver) {}

  absl::StatusOr<v1::ListImagesResponse> ListImages(const v1::ListImagesRequest& request,
                                                    const CallContext& context);
  absl::StatusOr<v1::GetImageResponse> GetImage(const v1::GetImageRequest& request,
                                                const CallContext& context);
  absl::StatusOr<v1::SetTagResponse> SetTag(const v1::SetTagRequest& request,
                                            const CallContext& context);
  absl::StatusOr<v1::GetIdentityResponse> GetIdentity(const v1::GetIdentityRequest& request,
                                                      const CallContext& context);

 private:
  ApiDirectory* const apis_;
  ImageResolver* const resolver_;
};

}  // namespace contree

#endif  // CONTREE_SERVICE_IMAGE_HANDLERS_H_
