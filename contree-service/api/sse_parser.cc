#include "contree-service/api/sse_parser.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/status/status_macros.h"

namespace contree {

absl::Status SseParser::Feed(absl::string_view bytes,
                             absl::FunctionRef<absl::Status(const SseFrame&)> sink) {
  while (!bytes.empty()) {
    if (after_carriage_return_) {
      after_carriage_return_ = false;
      if (bytes.front() == '\n') {
        bytes.remove_prefix(1);
        continue;
      }
    }
    const size_t end = bytes.find_first_of("\r\n");
    const absl::string_view part = bytes.substr(0, end);
    if (line_.size() + part.size() + frame_.data.size() > max_frame_bytes_) {
      return absl::ResourceExhaustedError(
          absl::StrCat("an event is larger than ", max_frame_bytes_, " bytes"));
    }
    line_.append(part.data(), part.size());
    if (end == absl::string_view::npos) return absl::OkStatus();
    after_carriage_return_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    RETURN_IF_ERROR(TakeLine(sink));
    line_.clear();
  }
  return absl::OkStatus();
}

absl::Status SseParser::TakeLine(absl::FunctionRef<absl::Status(const SseFrame&)> sink) {
  absl::string_view line = line_;
  if (first_line_) absl::ConsumePrefix(&line, "\xEF\xBB\xBF");
  first_line_ = false;
  if (line.empty()) {
    SseFrame frame;
    std::swap(frame, frame_);
    const bool complete = std::exchange(has_data_, false);
    return complete ? sink(frame) : absl::OkStatus();
  }
  const size_t colon = line.find(':');
  const absl::string_view name = line.substr(0, colon);
  absl::string_view value = colon == absl::string_view::npos ? "" : line.substr(colon + 1);
  absl::ConsumePrefix(&value, " ");
  if (name == "data") {
    if (has_data_) frame_.data.push_back('\n');
    frame_.data.append(value.data(), value.size());
    has_data_ = true;
  } else if (name == "event") {
    frame_.event = std::string(value);
  } else if (name == "id" && !absl::StrContains(value, absl::string_view("\0", 1))) {
    frame_.id = std::string(value);
  }
  return absl::OkStatus();
}

}  // namespace contree
