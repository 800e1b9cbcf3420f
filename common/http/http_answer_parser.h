#ifndef COMMON_HTTP_HTTP_ANSWER_PARSER_H_
#define COMMON_HTTP_HTTP_ANSWER_PARSER_H_

// One HTTP/1.1 answer from bytes that arrive split anywhere: its head, then its body without
// chunks and without gzip, as it comes. Everything is bounded: the head, each chunk's header, the
// trailers. Used by one thread.

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/http/gzip_decoder.h"
#include "common/http/http_client.h"

namespace contree {

class HttpAnswerParser {
 public:
  // `sink` gets the head once, then the pieces of the body.
  explicit HttpAnswerParser(HttpResponseSink sink) : sink_(std::move(sink)) {}

  // DataLoss: it is no HTTP answer, or a part of it is larger than any real one. Otherwise the
  // sink's own error. Of no use after either.
  absl::Status Feed(absl::string_view bytes);

  bool has_head() const { return state_ > State::kHead; }
  // The whole answer is there; bytes behind it are left out.
  bool is_complete() const { return state_ == State::kComplete; }
  // Whether the connection may end here.
  bool may_end() const { return is_complete() || state_ == State::kUntilTheEnd; }

 private:
  enum class State {
    kHead,
    kLength,       // left_ bytes of body
    kUntilTheEnd,  // of the connection
    kChunkHeader,
    kChunk,  // left_ bytes of it
    kChunkEnd,
    kTrailers,
    kComplete,
  };

  // Takes one line off `bytes`; false: it is not there yet. DataLoss: it is too long.
  absl::StatusOr<bool> TakeLine(absl::string_view* bytes);
  absl::Status OnHeadLine();
  absl::Status OnHead();
  absl::Status OnChunkHeader();
  absl::Status OnBody(absl::string_view bytes);

  const HttpResponseSink sink_;
  State state_ = State::kHead;
  std::string line_;
  size_t line_bytes_ = 0;  // of all lines of the head, or of the trailers
  HttpResponse head_;
  uint64_t left_ = 0;
  std::unique_ptr<GzipDecoder> gzip_;
};

}  // namespace contree

#endif  // COMMON_HTTP_HTTP_ANSWER_PARSER_H_
