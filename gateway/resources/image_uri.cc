#include "gateway/resources/image_uri.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "common/uuid/uuid.h"

namespace contree::gateway {
namespace {
constexpr absl::Duration kNeverChanges = absl::Hours(24);
}  // namespace

std::string PathInImage(absl::string_view variable) {
  while (absl::ConsumePrefix(&variable, "/") || absl::ConsumePrefix(&variable, "./")) {
  }
  while (absl::ConsumeSuffix(&variable, "/")) {
  }
  return variable == "." ? "/" : absl::StrCat("/", variable);
}

CacheHints ImageCacheHints(absl::string_view image) {
  return {.ttl = IsUuid(image) ? kNeverChanges : absl::ZeroDuration(),
          .scope = CacheScope::kPrivate};
}

absl::Status MistakeInUri(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) ? absl::InvalidArgumentError(status.message()) : status;
}

}  // namespace contree::gateway
