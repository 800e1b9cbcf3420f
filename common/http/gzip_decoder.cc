#include "common/http/gzip_decoder.h"

#include <zlib.h>

#include <cstdlib>

#include "common/status/status_macros.h"

namespace contree {
namespace {
constexpr int kGzipWindowBits = 15 + 16;  // 16: a gzip header instead of zlib's own
}  // namespace

GzipDecoder::GzipDecoder() : stream_(std::make_unique<z_stream>()) {
  // Fails only where memory is out or the arguments are wrong.
  if (inflateInit2(stream_.get(), kGzipWindowBits) != Z_OK) std::abort();
}

GzipDecoder::~GzipDecoder() { inflateEnd(stream_.get()); }

absl::Status GzipDecoder::Decode(absl::string_view bytes,
                                 absl::FunctionRef<absl::Status(absl::string_view)> sink) {
  // zlib's interface is not const-correct; it reads only.
  stream_->next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream_->avail_in = static_cast<uInt>(bytes.size());
  char buffer[16384];
  // What follows the end of the stream is padding.
  while (!ended_) {
    stream_->next_out = reinterpret_cast<Bytef*>(buffer);
    stream_->avail_out = sizeof buffer;
    const int result = inflate(stream_.get(), Z_NO_FLUSH);
    ended_ = result == Z_STREAM_END;
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
      return absl::DataLossError("the answer says that it is gzip and is not");
    const size_t decoded = sizeof buffer - stream_->avail_out;
    if (decoded > 0) RETURN_IF_ERROR(sink(absl::string_view(buffer, decoded)));
    // A buffer that was not filled means that zlib has no more to give.
    if (stream_->avail_out > 0 && stream_->avail_in == 0) break;
    if (result == Z_BUF_ERROR) break;
  }
  return absl::OkStatus();
}

}  // namespace contree
