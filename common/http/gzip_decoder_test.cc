#include "common/http/gzip_decoder.h"

#include <algorithm>
#include <string>

#include "common/http/gzip_encoder.h"
#include "common/testing/status_matchers.h"

namespace contree {
namespace {

using ::testing::HasSubstr;

TEST(GzipDecoderTest, GivesAtOnceWhatWasFlushed) {
  GzipEncoder encoder;
  GzipDecoder decoder;
  std::string text;
  const auto take = [&](absl::string_view bytes) {
    text.append(bytes.data(), bytes.size());
    return absl::OkStatus();
  };
  for (const char c : encoder.Encode("one ")) ASSERT_OK(decoder.Decode({&c, 1}, take));
  EXPECT_EQ(text, "one ");
  ASSERT_OK(decoder.Decode(encoder.Encode("two "), take));
  EXPECT_EQ(text, "one two ");
  ASSERT_OK(decoder.Decode(encoder.Finish("three") + "padding", take));
  EXPECT_EQ(text, "one two three");
}

TEST(GzipDecoderTest, ItsPiecesAreBoundedHoweverMuchComes) {
  GzipEncoder encoder;
  GzipDecoder decoder;
  size_t largest = 0;
  size_t all = 0;
  ASSERT_OK(
      decoder.Decode(encoder.Finish(std::string(10 << 20, 'x')), [&](absl::string_view bytes) {
        largest = std::max(largest, bytes.size());
        all += bytes.size();
        return absl::OkStatus();
      }));
  EXPECT_EQ(all, size_t{10} << 20);
  EXPECT_LE(largest, size_t{16} << 10);
}

TEST(GzipDecoderTest, TheSinksErrorEndsABomb) {
  GzipEncoder encoder;
  GzipDecoder decoder;
  size_t all = 0;
  EXPECT_THAT(decoder.Decode(encoder.Finish(std::string(10 << 20, 'x')),
                             [&](absl::string_view bytes) {
                               all += bytes.size();
                               return all > 100'000 ? absl::ResourceExhaustedError("enough")
                                                    : absl::OkStatus();
                             }),
              StatusIs(absl::StatusCode::kResourceExhausted, "enough"));
  EXPECT_LT(all, 200'000u);
}

TEST(GzipDecoderTest, OtherBytesAreDataLoss) {
  GzipDecoder decoder;
  EXPECT_THAT(decoder.Decode("plain text", [](absl::string_view) { return absl::OkStatus(); }),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("gzip")));
}

}  // namespace
}  // namespace contree
