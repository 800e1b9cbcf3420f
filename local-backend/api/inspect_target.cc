#include "local-backend/api/inspect_target.h"

#include <utility>

#include "common/status/status_macros.h"

namespace contree {

absl::StatusOr<InspectTarget> OpenInspectTarget(ApiCall& call) {
  ASSIGN_OR_RETURN(const Image image, call.services.images.Get(call.id, call.project));
  ASSIGN_OR_RETURN(std::shared_ptr<const ImageReader> reader, call.services.images.Reader(image));
  std::string path = call.exchange.Query("path").value_or("/");
  return InspectTarget{std::move(reader), path.empty() ? "/" : std::move(path)};
}

}  // namespace contree
