#include "common/http/gzip_encoder.h"

#include <zlib.h>

#include <cstdlib>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace contree {
namespace {
constexpr int kGzipWindowBits = 15 + 16;  // 16: a gzip header instead of zlib's own
}  // namespace

GzipEncoder::GzipEncoder() : stream_(std::make_unique<z_stream>()) {
  // Fails only where memory is out or the arguments are wrong.
  if (deflateInit2(stream_.get(), Z_BEST_SPEED, Z_DEFLATED, kGzipWindowBits, 8,
                   Z_DEFAULT_STRATEGY) != Z_OK) {
    std::abort();
  }
}

GzipEncoder::~GzipEncoder() { deflateEnd(stream_.get()); }

std::string GzipEncoder::Encode(absl::string_view bytes) { return Deflate(bytes, Z_SYNC_FLUSH); }

std::string GzipEncoder::Finish(absl::string_view bytes) { return Deflate(bytes, Z_FINISH); }

std::string GzipEncoder::Deflate(absl::string_view bytes, int flush) {
  std::string encoded;
  // zlib's interface is not const-correct; it reads only.
  stream_->next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream_->avail_in = static_cast<uInt>(bytes.size());
  char buffer[16384];
  do {
    stream_->next_out = reinterpret_cast<Bytef*>(buffer);
    stream_->avail_out = sizeof buffer;
    deflate(stream_.get(), flush);
    encoded.append(buffer, sizeof buffer - stream_->avail_out);
  } while (stream_->avail_out == 0);
  return encoded;
}

bool AcceptsGzip(absl::string_view accept_encoding) {
  for (absl::string_view entry : absl::StrSplit(accept_encoding, ',')) {
    const std::vector<absl::string_view> parts = absl::StrSplit(entry, ';');
    const absl::string_view coding = absl::StripAsciiWhitespace(parts[0]);
    if (!absl::EqualsIgnoreCase(coding, "gzip") && !absl::EqualsIgnoreCase(coding, "x-gzip")) {
      continue;
    }
    double quality = 1;
    for (size_t i = 1; i < parts.size(); ++i) {
      absl::string_view parameter = absl::StripAsciiWhitespace(parts[i]);
      if (absl::StartsWithIgnoreCase(parameter, "q=") &&
          !absl::SimpleAtod(parameter.substr(2), &quality)) {
        return false;
      }
    }
    return quality > 0;
  }
  return false;
}

}  // namespace contree
