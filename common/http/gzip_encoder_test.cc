#include "common/http/gzip_encoder.h"

#include <zlib.h>

#include "gtest/gtest.h"

namespace contree {
namespace {

// What a reader can decode of `encoded`, which need not be the whole stream.
std::string Decoded(std::string encoded, bool& at_end) {
  z_stream stream = {};
  EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(encoded.data());
  stream.avail_in = static_cast<uInt>(encoded.size());
  std::string decoded(1 << 20, '\0');
  stream.next_out = reinterpret_cast<Bytef*>(decoded.data());
  stream.avail_out = static_cast<uInt>(decoded.size());
  at_end = inflate(&stream, Z_SYNC_FLUSH) == Z_STREAM_END;
  decoded.resize(decoded.size() - stream.avail_out);
  inflateEnd(&stream);
  return decoded;
}

TEST(GzipEncoderTest, EachPieceCanBeDecodedAtOnce) {
  GzipEncoder encoder;
  bool at_end = true;
  std::string sent = encoder.Encode("first ");
  EXPECT_EQ(Decoded(sent, at_end), "first ");
  EXPECT_FALSE(at_end);
  sent += encoder.Encode("second ");
  EXPECT_EQ(Decoded(sent, at_end), "first second ");
  sent += encoder.Finish("end");
  EXPECT_EQ(Decoded(sent, at_end), "first second end");
  EXPECT_TRUE(at_end);
}

TEST(GzipEncoderTest, KeepsMoreThanOneBuffer) {
  std::string text;
  for (int i = 0; text.size() < 900'000; ++i) text += std::to_string(i * 7919LL);
  GzipEncoder encoder;
  bool at_end = false;
  EXPECT_EQ(Decoded(encoder.Finish(text), at_end), text);
  EXPECT_TRUE(at_end);
}

TEST(AcceptsGzipTest, ReadsTheListAndItsQualities) {
  EXPECT_TRUE(AcceptsGzip("gzip"));
  EXPECT_TRUE(AcceptsGzip("deflate, GZIP;q=0.5, br"));
  EXPECT_FALSE(AcceptsGzip(""));
  EXPECT_FALSE(AcceptsGzip("identity"));
  EXPECT_FALSE(AcceptsGzip("br, deflate"));
  EXPECT_FALSE(AcceptsGzip("gzip;q=0"));
  EXPECT_FALSE(AcceptsGzip("gzip; q=0.000"));
}

}  // namespace
}  // namespace contree
