#ifndef GATEWAY_GUIDES_GUIDE_TEXTS_H_
#define GATEWAY_GUIDES_GUIDE_TEXTS_H_

// The .md files of this folder, each under its name. Their definitions are made when this is built.

#include "absl/strings/string_view.h"

namespace contree::gateway::guide_texts {

extern const absl::string_view workflow;
extern const absl::string_view reference;
extern const absl::string_view quickstart;
extern const absl::string_view state;
extern const absl::string_view async;
extern const absl::string_view tagging;
extern const absl::string_view errors;

}  // namespace contree::gateway::guide_texts

#endif  // GATEWAY_GUIDES_GUIDE_TEXTS_H_
