#ifndef CONTREE_SERVICE_API_SSE_PARSER_H_
#define CONTREE_SERVICE_API_SSE_PARSER_H_

// Server-sent events (WHATWG HTML, "parsing an event stream") from bytes that are split anywhere,
// with a bound on what one frame may hold.

#include <cstddef>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace contree {

struct SseFrame {
  std::string id;     // of this frame; empty: none
  std::string event;  // empty: "message"
  std::string data;   // several data lines joined by line feeds
};

// Used by one thread.
class SseParser {
 public:
  explicit SseParser(size_t max_frame_bytes = 4 << 20) : max_frame_bytes_(max_frame_bytes) {}

  // Hands on each frame that `bytes` completes. Comments, unknown fields and frames without data
  // are left out. What the stream leaves unfinished at its end is dropped, as the standard says.
  // ResourceExhausted: a frame is too large. Otherwise the sink's own error. Of no use after
  // either.
  absl::Status Feed(absl::string_view bytes, absl::FunctionRef<absl::Status(const SseFrame&)> sink);

 private:
  absl::Status TakeLine(absl::FunctionRef<absl::Status(const SseFrame&)> sink);

  const size_t max_frame_bytes_;
  std::string line_;
  bool first_line_ = true;
  bool after_carriage_return_ = false;  // a line feed that follows belongs to it
  bool has_data_ = false;
  SseFrame frame_;
};

}  // namespace contree

#endif  // CONTREE_SERVICE_API_SSE_PARSER_H_
