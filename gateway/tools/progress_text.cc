#include "gateway/tools/progress_text.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/text/utf8.h"
#include "gateway/tools/operation_json.h"

namespace contree::gateway {
namespace {

using contree::v1::OperationEvent;

constexpr size_t kMaxLineBytes = 200;

std::string EndText(const OperationEvent::ProcessExited& end) {
  if (end.timed_out()) return "the command was ended: its timeout was up";
  if (end.signal() != 0) return absl::StrCat("signal ", end.signal(), " ended the command");
  return absl::StrCat("the command ended with exit code ", end.exit_code());
}

}  // namespace

std::string NewestLine(absl::string_view output) {
  // Programs that redraw a line (a progress bar) end it with a carriage return.
  constexpr absl::string_view kLineEnds = "\r\n";
  while (!output.empty()) {
    const size_t end = output.find_last_of(kLineEnds);
    const absl::string_view line = absl::StripAsciiWhitespace(
        end == absl::string_view::npos ? output : output.substr(end + 1));
    if (!line.empty()) {
      std::string text(WithoutCutCharacter(line.substr(0, kMaxLineBytes)));
      text.erase(std::remove_if(text.begin(), text.end(),
                                [](unsigned char c) { return absl::ascii_iscntrl(c); }),
                 text.end());
      return text;
    }
    if (end == absl::string_view::npos) break;
    output = output.substr(0, end);
  }
  return "";
}

std::string ProgressText(const OperationEvent& event) {
  switch (event.event_case()) {
    case OperationEvent::kStateChanged:
      return StateName(event.state_changed().state());
    case OperationEvent::kProcessStarted:
      return "the command has started";
    case OperationEvent::kOutput:
      return NewestLine(event.output().data());
    case OperationEvent::kProcessExited:
      return EndText(event.process_exited());
    default:
      return "";
  }
}

}  // namespace contree::gateway
