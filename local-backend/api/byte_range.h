#ifndef LOCAL_BACKEND_API_BYTE_RANGE_H_
#define LOCAL_BACKEND_API_BYTE_RANGE_H_

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace contree {

struct ByteRange {
  int64_t first = 0;
  int64_t length = 0;
};

// The part that a Range header asks for of something of `size` bytes; nullopt where it is to be
// ignored (another unit, several ranges, not the form of RFC 9110): then the whole is sent.
// OutOfRange: there is no such part.
absl::StatusOr<std::optional<ByteRange>> ParseByteRange(absl::string_view header, int64_t size);

}  // namespace contree

#endif  // LOCAL_BACKEND_API_BYTE_RANGE_H_
