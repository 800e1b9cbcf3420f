// References to images: tag:NAME, or the bare NAME if that is how it was begun.

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/status/status_macros.h"
#include "gateway/completions/completion.h"
#include "gateway/tools/unary_call.h"

namespace contree::gateway {
namespace {

using Stub = contree::v1::ContreeService::StubInterface;

// One more than a client gets, so that it is told that there are more.
constexpr int kMaxImages = 101;
constexpr absl::string_view kTagPrefix = "tag:";

}  // namespace

absl::StatusOr<std::vector<std::string>> CompleteImage(const CompletionRequest& request,
                                                       RequestContext& context,
                                                       const Services& services) {
  absl::string_view name = request.value;
  const bool is_tag = absl::ConsumePrefix(&name, kTagPrefix);
  const bool may_become_tag = absl::StartsWith(kTagPrefix, request.value);  // "", "t", "ta", …
  contree::v1::ListImagesRequest list;
  list.set_limit(kMaxImages);
  list.set_tagged(true);
  if (!may_become_tag) list.set_tag_prefix(std::string(name));
  ASSIGN_OR_RETURN(const contree::v1::ListImagesResponse response,
                   CallUnary(*services.contree, &Stub::ListImages, list, context.call));
  std::vector<std::string> references;
  std::vector<std::string> bare;
  for (const contree::v1::Image& image : response.images()) {
    if (is_tag || may_become_tag) references.push_back(absl::StrCat(kTagPrefix, image.tag()));
    if (!is_tag && !request.value.empty()) bare.push_back(image.tag());
  }
  references.insert(references.end(), bare.begin(), bare.end());
  std::vector<std::string> fitting;
  for (std::string& reference : references) {
    if (absl::StartsWith(reference, request.value)) fitting.push_back(std::move(reference));
  }
  return fitting;
}

}  // namespace contree::gateway
