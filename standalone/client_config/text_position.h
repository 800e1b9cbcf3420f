#ifndef STANDALONE_CLIENT_CONFIG_TEXT_POSITION_H_
#define STANDALONE_CLIENT_CONFIG_TEXT_POSITION_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace contree::standalone {

// InvalidArgument "line 3, column 7: MESSAGE", where `offset` is in `text`. Columns count
// characters of UTF-8.
absl::Status ErrorAt(absl::string_view text, size_t offset, absl::string_view message);

}  // namespace contree::standalone

#endif  // STANDALONE_CLIENT_CONFIG_TEXT_POSITION_H_
