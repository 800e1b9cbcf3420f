#ifndef LOCAL_BACKEND_IMAGES_LAYER_NAMES_H_
#define LOCAL_BACKEND_IMAGES_LAYER_NAMES_H_

// Layers as the rows of images.db have them and as ImageStore names them. Thread-safe.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace contree {

// "12 7 1" and {"layers/12", "layers/7", "layers/1"}.
std::vector<std::string> ToLayers(absl::string_view ids);
std::string LayersAsText(const std::vector<std::string>& layers);

}  // namespace contree

#endif  // LOCAL_BACKEND_IMAGES_LAYER_NAMES_H_
