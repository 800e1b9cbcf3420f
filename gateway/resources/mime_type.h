#ifndef GATEWAY_RESOURCES_MIME_TYPE_H_
#define GATEWAY_RESOURCES_MIME_TYPE_H_

#include "absl/strings/string_view.h"

namespace contree::gateway {

// What a file's name says about its content: "text/x-python" for "a/b.PY". Empty: nothing.
absl::string_view MimeTypeByName(absl::string_view path);

}  // namespace contree::gateway

#endif  // GATEWAY_RESOURCES_MIME_TYPE_H_
