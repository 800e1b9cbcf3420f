#include "common/http/http_answer_parser.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "common/status/status_macros.h"

namespace contree {
namespace {

constexpr size_t kMaxHeadBytes = 64 << 10;
constexpr size_t kMaxChunkHeaderBytes = 4 << 10;

absl::Status NotHttp() { return absl::DataLossError("the answer is not HTTP/1.1"); }

}  // namespace

absl::StatusOr<bool> HttpAnswerParser::TakeLine(absl::string_view* bytes) {
  const size_t end = bytes->find('\n');
  const absl::string_view part = bytes->substr(0, end);
  const size_t bound =
      state_ == State::kHead || state_ == State::kTrailers ? kMaxHeadBytes : kMaxChunkHeaderBytes;
  line_bytes_ += part.size() + 1;
  if (line_bytes_ > bound) return absl::DataLossError("the answer's head is endless");
  line_.append(part.data(), part.size());
  if (end == absl::string_view::npos) {
    bytes->remove_prefix(bytes->size());
    return false;
  }
  bytes->remove_prefix(end + 1);
  if (absl::EndsWith(line_, "\r")) line_.pop_back();
  return true;
}

absl::Status HttpAnswerParser::Feed(absl::string_view bytes) {
  while (!bytes.empty() && state_ != State::kComplete) {
    switch (state_) {
      case State::kHead:
      case State::kChunkHeader:
      case State::kChunkEnd:
      case State::kTrailers: {
        ASSIGN_OR_RETURN(const bool whole, TakeLine(&bytes));
        if (!whole) return absl::OkStatus();
        const State state = state_;
        if (state == State::kHead) RETURN_IF_ERROR(OnHeadLine());
        if (state == State::kChunkHeader) RETURN_IF_ERROR(OnChunkHeader());
        if (state == State::kChunkEnd) {
          if (!line_.empty()) return NotHttp();
          state_ = State::kChunkHeader;
        }
        if (state == State::kTrailers && line_.empty()) state_ = State::kComplete;
        line_.clear();
        if (state == State::kChunkHeader || state == State::kChunkEnd) line_bytes_ = 0;
        break;
      }
      case State::kLength:
      case State::kChunk: {
        const absl::string_view part = bytes.substr(0, std::min<uint64_t>(bytes.size(), left_));
        bytes.remove_prefix(part.size());
        left_ -= part.size();
        const State state = state_;
        if (left_ == 0) state_ = state == State::kChunk ? State::kChunkEnd : State::kComplete;
        RETURN_IF_ERROR(OnBody(part));
        break;
      }
      case State::kUntilTheEnd:
        return OnBody(bytes);
      case State::kComplete:
        break;
    }
  }
  return absl::OkStatus();
}

absl::Status HttpAnswerParser::OnHeadLine() {
  if (head_.status == 0) {
    // "HTTP/1.1 200 OK"
    int status = 0;
    if (line_.size() < 12 || !absl::StartsWith(line_, "HTTP/1.") || line_[8] != ' ' ||
        !absl::SimpleAtoi(line_.substr(9, 3), &status) || status < 100 || status > 599) {
      return NotHttp();
    }
    head_.status = status;
    return absl::OkStatus();
  }
  if (line_.empty()) return OnHead();
  const size_t colon = line_.find(':');
  if (colon == std::string::npos || colon == 0) return NotHttp();
  head_.headers.emplace_back(
      line_.substr(0, colon),
      absl::StripAsciiWhitespace(absl::string_view(line_).substr(colon + 1)));
  return absl::OkStatus();
}

absl::Status HttpAnswerParser::OnHead() {
  if (head_.status < 200) {  // "100 Continue": the answer itself follows
    head_ = {};
    return absl::OkStatus();
  }
  line_bytes_ = 0;
  const std::string coding = head_.Header("Content-Encoding").value_or("identity");
  if (absl::EqualsIgnoreCase(coding, "gzip")) {
    gzip_ = std::make_unique<GzipDecoder>();
  } else if (!absl::EqualsIgnoreCase(coding, "identity")) {
    return absl::DataLossError("the answer is encoded in a way that was not asked for");
  }
  const std::optional<std::string> length = head_.Header("Content-Length");
  if (head_.status == 204 || head_.status == 304) {
    state_ = State::kComplete;
  } else if (const auto transfer = head_.Header("Transfer-Encoding"); transfer.has_value()) {
    if (!absl::EqualsIgnoreCase(*transfer, "chunked")) return NotHttp();
    state_ = State::kChunkHeader;
  } else if (length.has_value()) {
    if (!absl::SimpleAtoi(*length, &left_)) return NotHttp();
    state_ = left_ == 0 ? State::kComplete : State::kLength;
  } else {
    state_ = State::kUntilTheEnd;
  }
  return sink_.on_head == nullptr ? absl::OkStatus() : sink_.on_head(head_);
}

absl::Status HttpAnswerParser::OnChunkHeader() {
  const absl::string_view size = absl::StripAsciiWhitespace(
      absl::string_view(line_).substr(0, line_.find(';')));  // extensions behind it mean nothing
  if (size.empty() || size.size() > 15 || !absl::SimpleHexAtoi(size, &left_)) return NotHttp();
  state_ = left_ == 0 ? State::kTrailers : State::kChunk;
  return absl::OkStatus();
}

absl::Status HttpAnswerParser::OnBody(absl::string_view bytes) {
  if (sink_.on_data == nullptr) return absl::OkStatus();
  if (gzip_ != nullptr) return gzip_->Decode(bytes, sink_.on_data);
  return sink_.on_data(bytes);
}

}  // namespace contree
