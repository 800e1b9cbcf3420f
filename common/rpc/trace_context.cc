#include "common/rpc/trace_context.h"

#include <algorithm>
#include <cstddef>

namespace contree {
namespace {

constexpr size_t kMaxTraceStateBytes = 512;
constexpr size_t kMaxBaggageBytes = 8192;

bool IsLowerHex(absl::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool IsZero(absl::string_view text) {
  return text.find_first_not_of('0') == absl::string_view::npos;
}

// "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01". Of later versions only what this one
// has counts, but what follows has to be set off.
bool IsTraceParent(absl::string_view text) {
  constexpr size_t kLength = 55;
  if (text.size() < kLength || text[2] != '-' || text[35] != '-' || text[52] != '-') return false;
  const absl::string_view version = text.substr(0, 2);
  const absl::string_view trace_id = text.substr(3, 32);
  const absl::string_view parent_id = text.substr(36, 16);
  if (text.size() > kLength && (version == "00" || text[kLength] != '-')) return false;
  return IsLowerHex(version) && version != "ff" && IsLowerHex(trace_id) && !IsZero(trace_id) &&
         IsLowerHex(parent_id) && !IsZero(parent_id) && IsLowerHex(text.substr(53, 2));
}

std::string Printable(absl::string_view text, size_t max_bytes) {
  const bool is_clean =
      text.size() <= max_bytes &&
      std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
  return is_clean ? std::string(text) : "";
}

}  // namespace

TraceContext CleanTraceContext(absl::string_view traceparent, absl::string_view tracestate,
                               absl::string_view baggage) {
  constexpr size_t kMaxTraceParentBytes = 256;
  if (!IsTraceParent(traceparent)) return {};
  TraceContext trace;
  trace.traceparent = Printable(traceparent, kMaxTraceParentBytes);
  if (trace.traceparent.empty()) return {};
  trace.tracestate = Printable(tracestate, kMaxTraceStateBytes);
  trace.baggage = Printable(baggage, kMaxBaggageBytes);
  return trace;
}

}  // namespace contree
