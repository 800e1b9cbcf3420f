#ifndef COMMON_HTTP_GZIP_DECODER_H_
#define COMMON_HTTP_GZIP_DECODER_H_

// A gzip stream decoded as its bytes come, in pieces of bounded size however well it was packed.
// Not thread-safe.

#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"

struct z_stream_s;

namespace contree {

class GzipDecoder {
 public:
  GzipDecoder();
  ~GzipDecoder();
  GzipDecoder(const GzipDecoder&) = delete;
  GzipDecoder& operator=(const GzipDecoder&) = delete;

  // Hands on all that `bytes` complete, at most 16 KiB at a time. DataLoss: it is no gzip stream.
  // Otherwise the sink's own error. Of no use after either.
  absl::Status Decode(absl::string_view bytes,
                      absl::FunctionRef<absl::Status(absl::string_view)> sink);

 private:
  std::unique_ptr<z_stream_s> stream_;
  bool ended_ = false;
};

}  // namespace contree

#endif  // COMMON_HTTP_GZIP_DECODER_H_
