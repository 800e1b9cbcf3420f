#ifndef COMMON_HTTP_GZIP_ENCODER_H_
#define COMMON_HTTP_GZIP_ENCODER_H_

// A gzip stream made piece by piece. Each piece is flushed, so that a reader can decode all that
// was sent so far. Not thread-safe.

#include <memory>
#include <string>

#include "absl/strings/string_view.h"

struct z_stream_s;

namespace contree {

class GzipEncoder {
 public:
  GzipEncoder();
  ~GzipEncoder();
  GzipEncoder(const GzipEncoder&) = delete;
  GzipEncoder& operator=(const GzipEncoder&) = delete;

  // The encoded form of `bytes`, decodable without what comes later.
  std::string Encode(absl::string_view bytes);
  // The encoded form of `bytes` and the end of the stream. Nothing may be encoded afterwards.
  std::string Finish(absl::string_view bytes);

 private:
  std::string Deflate(absl::string_view bytes, int flush);

  std::unique_ptr<z_stream_s> stream_;
};

// Whether the value of an Accept-Encoding header asks for gzip (and does not refuse it with q=0).
bool AcceptsGzip(absl::string_view accept_encoding);

}  // namespace contree

#endif  // COMMON_HTTP_GZIP_ENCODER_H_
