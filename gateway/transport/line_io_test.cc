#include "gateway/transport/line_io.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <string>
#include <thread>
#include <vector>

#include "common/testing/status_matchers.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

struct Pipe {
  Pipe() {
    std::array<int, 2> fds = {-1, -1};
    EXPECT_EQ(pipe2(fds.data(), O_CLOEXEC), 0);
    read_end.Reset(fds[0]);
    write_end.Reset(fds[1]);
  }
  UniqueFd read_end;
  UniqueFd write_end;
};

// Reads all lines of `input`; "!" stands for one that was refused.
std::vector<std::string> ReadLines(const std::string& input, size_t max_bytes) {
  Pipe pipe;
  std::thread writer([&] {
    EXPECT_EQ(write(pipe.write_end.get(), input.data(), input.size()),
              static_cast<ssize_t>(input.size()));
    pipe.write_end.Reset();
  });
  std::vector<std::string> lines;
  auto reader = LineReader::Create(pipe.read_end.get(), max_bytes);
  EXPECT_OK(reader);
  while (true) {
    const auto line = reader->Next(std::stop_token());
    if (line.ok() && !line->has_value()) break;
    lines.push_back(line.ok() ? std::string(**line) : "!");
  }
  writer.join();
  return lines;
}

using Lines = std::vector<std::string>;

TEST(LineReaderTest, LinesComeWithoutTheirEnds) {
  EXPECT_EQ(ReadLines("a\nb\r\n\n\rc\nlast", 100), (Lines{"a", "b", "", "\rc", "last"}));
  EXPECT_EQ(ReadLines("", 100), Lines{});
  EXPECT_EQ(ReadLines("\n", 100), Lines{""});
}

TEST(LineReaderTest, ALineThatIsTooLongIsRefusedOnceAndTheNextOneIsRead) {
  EXPECT_EQ(ReadLines("abc\nabcd\r\nabcde\nx\n", 4), (Lines{"abc", "abcd", "!", "x"}));
  const std::string huge(1'000'000, 'x');  // many times what is read at once
  EXPECT_EQ(ReadLines("a\n" + huge + "\nb\n" + huge, 1000), (Lines{"a", "!", "b", "!"}));
  EXPECT_EQ(ReadLines(huge + "\n", 1'000'000), Lines{huge});
}

TEST(LineReaderTest, AStopInterruptsTheWait) {
  Pipe pipe;
  auto reader = LineReader::Create(pipe.read_end.get(), 100);
  ASSERT_OK(reader);
  ASSERT_EQ(write(pipe.write_end.get(), "half", 4), 4);
  std::stop_source stop;
  std::thread stopper([&stop] { stop.request_stop(); });
  const auto line = reader->Next(stop.get_token());
  stopper.join();
  ASSERT_OK(line);
  EXPECT_FALSE(line->has_value());
}

TEST(LineWriterTest, LinesOfManyThreadsStayWhole) {
  Pipe pipe;
  LineWriter writer(pipe.write_end.get());
  constexpr int kThreads = 4;
  constexpr int kLines = 50;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    // Longer than what a pipe takes at once.
    threads.emplace_back([&writer, i] {
      for (int k = 0; k < kLines; ++k) {
        EXPECT_OK(writer.Write(std::string(10'000, static_cast<char>('a' + i))));
      }
    });
  }
  auto reader = LineReader::Create(pipe.read_end.get(), 100'000);
  ASSERT_OK(reader);
  for (int i = 0; i < kThreads * kLines; ++i) {
    const auto line = reader->Next(std::stop_token());
    ASSERT_OK(line);
    ASSERT_TRUE(line->has_value());
    EXPECT_EQ(std::string(**line), std::string(10'000, (**line)[0]));
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(LineWriterTest, AfterAFailureNothingIsWritten) {
  Pipe pipe;
  LineWriter writer(pipe.read_end.get());  // not open for writing
  EXPECT_THAT(writer.Write("a"),
              StatusIs(absl::StatusCode::kUnavailable, testing::HasSubstr("writing output")));
  EXPECT_THAT(writer.Write("b"), StatusIs(absl::StatusCode::kUnavailable, testing::_));
}

}  // namespace
}  // namespace contree::gateway
