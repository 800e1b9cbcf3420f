#include "common/http/http_answer_parser.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/http/gzip_encoder.h"
#include "common/testing/status_matchers.h"

namespace contree {
namespace {

using ::testing::HasSubstr;

class HttpAnswerParserTest : public testing::Test {
 protected:
  // Feeds a fresh parser in pieces of `step` bytes.
  absl::Status Parse(const std::string& answer, size_t step) {
    head_ = {};
    body_.clear();
    parser_ = std::make_unique<HttpAnswerParser>(
        HttpResponseSink{.on_head =
                             [this](const HttpResponse& head) {
                               head_ = head;
                               return absl::OkStatus();
                             },
                         .on_data =
                             [this](absl::string_view bytes) {
                               body_.append(bytes.data(), bytes.size());
                               return absl::OkStatus();
                             }});
    for (size_t at = 0; at < answer.size(); at += step) {
      const absl::Status status = parser_->Feed(absl::string_view(answer).substr(at, step));
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  HttpResponse head_;
  std::string body_;
  std::unique_ptr<HttpAnswerParser> parser_;
};

TEST_F(HttpAnswerParserTest, ReadsEveryFramingSplitAnywhere) {
  const std::string head = "HTTP/1.1 200 OK\r\nX-A:  b c \r\n";
  for (const std::string& answer :
       {head + "Content-Length: 5\r\n\r\nhello", head + "\r\nhello",
        head + "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;ext=1\r\nllo\r\n0\r\nT: x\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n" + head + "Content-Length: 5\n\nhello"}) {
    for (const size_t step : {size_t{1}, size_t{2}, size_t{7}, answer.size()}) {
      ASSERT_OK(Parse(answer, step)) << answer;
      EXPECT_EQ(head_.status, 200);
      EXPECT_EQ(head_.Header("x-a"), "b c");
      EXPECT_EQ(body_, "hello") << answer;
      EXPECT_TRUE(parser_->may_end()) << answer;
    }
  }
}

TEST_F(HttpAnswerParserTest, KnowsWhatIsNotCompleteYet) {
  ASSERT_OK(Parse("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", 100));
  EXPECT_FALSE(parser_->may_end());
  ASSERT_OK(Parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhell\r\n", 100));
  EXPECT_FALSE(parser_->may_end());
  ASSERT_OK(Parse("HTTP/1.1 200 OK\r\nTransfer-", 100));
  EXPECT_FALSE(parser_->has_head());
  EXPECT_FALSE(parser_->may_end());
}

TEST_F(HttpAnswerParserTest, AnAnswerWithoutABodyIsComplete) {
  ASSERT_OK(Parse("HTTP/1.1 204 No Content\r\n\r\n", 1));
  EXPECT_TRUE(parser_->is_complete());
  ASSERT_OK(Parse("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\nnoise", 100));
  EXPECT_TRUE(parser_->is_complete());
  EXPECT_EQ(body_, "");
}

TEST_F(HttpAnswerParserTest, UnpacksGzipAsItComes) {
  GzipEncoder encoder;
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n";
  ASSERT_OK(Parse(head + encoder.Encode("flushed"), 3));
  EXPECT_EQ(body_, "flushed");
  EXPECT_THAT(Parse(head + "not gzip at all", 100),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("gzip")));
  EXPECT_THAT(Parse("HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\n", 100),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("encoded")));
}

TEST_F(HttpAnswerParserTest, RefusesWhatIsNoAnswer) {
  const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string& answer :
       {std::string("SSH-2.0-OpenSSH\r\n"), std::string("HTTP/1.1 9 x\r\n"),
        std::string("HTTP/1.1 200 OK\r\nno colon\r\n"),
        std::string("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
        std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
        chunked + "x\r\n", chunked + "\r\n", chunked + "ffffffffffffffff\r\n",
        chunked + "2\r\nabc\r\n"}) {
    EXPECT_THAT(Parse(answer, 1), StatusIs(absl::StatusCode::kDataLoss, testing::_)) << answer;
  }
}

TEST_F(HttpAnswerParserTest, EveryPartIsBounded) {
  const std::string endless(100'000, 'x');
  const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  std::string headers = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 10'000; ++i) absl::StrAppend(&headers, "X-", i, ": y\r\n");
  for (const std::string& answer : {endless, "HTTP/1.1 200 OK\r\nA: " + endless, headers,
                                    chunked + "1;" + endless, chunked + "0\r\nT: " + endless}) {
    EXPECT_THAT(Parse(answer, 1000), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("endless")));
  }
}

}  // namespace
}  // namespace contree
