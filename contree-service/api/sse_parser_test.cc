#include "contree-service/api/sse_parser.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/testing/status_matchers.h"

namespace contree {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> Frames(absl::string_view stream, size_t piece) {
  SseParser parser;
  std::vector<std::string> frames;
  for (size_t i = 0; i < stream.size(); i += piece) {
    EXPECT_OK(parser.Feed(stream.substr(i, piece), [&](const SseFrame& frame) {
      frames.push_back(absl::StrCat(frame.id, "|", frame.event, "|", frame.data));
      return absl::OkStatus();
    }));
  }
  return frames;
}

TEST(SseParserTest, ReadsFramesSplitAnywhere) {
  constexpr absl::string_view kStream =
      "\xEF\xBB\xBF: hello\n"
      "id: 0\nevent: init\ndata: {\"a\":1}\n\n"
      "retry: 5\r\ndata:one\r\ndata: two\r\n\r\n"
      ": keepalive\n\n"
      "id: 7\revent: exit\rdata\r\r"
      "id: 8\nevent: lost\ndata: no empty line follows\n";
  for (size_t piece = 1; piece <= kStream.size(); ++piece) {
    EXPECT_THAT(Frames(kStream, piece), ElementsAre("0|init|{\"a\":1}", "||one\ntwo", "7|exit|"))
        << piece;
  }
}

TEST(SseParserTest, AFrameWithoutDataIsNone) {
  EXPECT_THAT(Frames("event: x\nid: 1\n\ndata: y\n\n", 100), ElementsAre("||y"));
}

TEST(SseParserTest, AFrameIsBoundedHoweverItIsMadeUp) {
  const auto ignore = [](const SseFrame&) { return absl::OkStatus(); };
  SseParser one_line(10);
  EXPECT_THAT(one_line.Feed("data: 12345678", ignore),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("10 bytes")));
  SseParser many_lines(10);
  absl::Status status;
  for (int i = 0; i < 10 && status.ok(); ++i) status = many_lines.Feed("data: 1\n", ignore);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("10 bytes")));
  SseParser many_frames(10);
  for (int i = 0; i < 10; ++i) EXPECT_OK(many_frames.Feed("data: 1\n\n", ignore));
}

TEST(SseParserTest, TheSinksErrorEndsIt) {
  SseParser parser;
  EXPECT_THAT(parser.Feed("data: 1\n\ndata: 2\n\n",
                          [](const SseFrame&) { return absl::AbortedError("enough"); }),
              StatusIs(absl::StatusCode::kAborted, "enough"));
}

}  // namespace
}  // namespace contree
