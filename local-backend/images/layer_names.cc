#include "local-backend/images/layer_names.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace contree {

std::vector<std::string> ToLayers(absl::string_view ids) {
  std::vector<std::string> layers;
  for (absl::string_view id : absl::StrSplit(ids, ' ', absl::SkipEmpty())) {
    layers.push_back(absl::StrCat("layers/", id));
  }
  return layers;
}

std::string LayersAsText(const std::vector<std::string>& layers) {
  return absl::StrJoin(layers, " ", [](std::string* out, const std::string& layer) {
    absl::StrAppend(out, absl::StripPrefix(layer, "layers/"));
  });
}

}  // namespace contree
