#include "local-backend/sandbox/vm_link.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

std::string Frame(VmFrameType type, uint32_t stream, const std::string& payload) {
  const VmFrameHeader header = {
      .type = type, .stream = stream, .size = static_cast<uint32_t>(payload.size())};
  return std::string(reinterpret_cast<const char*>(&header), sizeof header) + payload;
}

std::string CreditFrame(uint32_t stream, uint32_t credit) {
  return Frame(VmFrameType::kCredit, stream,
               std::string(reinterpret_cast<const char*>(&credit), sizeof credit));
}

bool TakesAll(const VmFrameHeader&, std::string_view) { return true; }

TEST(VmFrameParserTest, FramesComeOutHoweverTheBytesAreCut) {
  const std::string bytes = Frame(VmFrameType::kReady, 0, "") +
                            Frame(VmFrameType::kData, 5, "hello") + Frame(VmFrameType::kEnd, 5, "");
  VmFrameParser parser(/*to_relay=*/true);
  std::vector<std::string> seen;
  for (const char byte : bytes) {
    ASSERT_TRUE(parser.Feed(std::string_view(&byte, 1),
                            [&](const VmFrameHeader& header, std::string_view payload) {
                              seen.push_back(std::to_string(static_cast<uint32_t>(header.type)) +
                                             ":" + std::string(payload));
                              return true;
                            }));
  }
  EXPECT_THAT(seen, testing::ElementsAre("1:", "4:hello", "5:"));
}

TEST(VmFrameParserTest, TheRelayTakesNoMoreThanAFrameMayHave) {
  for (const VmFrameHeader& header :
       {VmFrameHeader{VmFrameType::kData, 1, kMaxVmData + 1},
        VmFrameHeader{VmFrameType::kControl, 0, sizeof(FrameHeader) + sizeof(ExitedReply) + 1},
        VmFrameHeader{VmFrameType::kFailed, 0, kMaxVmFailure + 1},
        VmFrameHeader{VmFrameType::kSetUp, 0, 1}, VmFrameHeader{VmFrameType::kCredit, 0, 5},
        VmFrameHeader{VmFrameType::kEnd, 0, 0xffffffff},
        VmFrameHeader{static_cast<VmFrameType>(99), 0, 1}}) {
    VmFrameParser parser(/*to_relay=*/true);
    EXPECT_FALSE(parser.Feed(
        std::string_view(reinterpret_cast<const char*>(&header), sizeof header), TakesAll))
        << static_cast<uint32_t>(header.type);
  }
}

// A link of the relay's side; the test is the guest.
class VmLinkTest : public testing::Test {
 protected:
  void SetUp() override {
    signal(SIGPIPE, SIG_IGN);
    int sockets[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sockets), 0);
    guest_ = sockets[0];
    port_ = sockets[1];
    const int large = 4 << 20;
    setsockopt(guest_, SOL_SOCKET, SO_SNDBUF, &large, sizeof large);
    link_ = std::make_unique<VmLink>(VmLink::Side::kRelay, port_);
  }
  void TearDown() override {
    link_.reset();
    close(guest_);
    close(port_);
  }

  // Ends of a pipe, neither of which blocks: to read from, to write to.
  static std::pair<int, int> Pipe() {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    return {ends[0], ends[1]};
  }
  void FromGuest(const std::string& bytes) {
    ASSERT_EQ(write(guest_, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  // Lets the link do what it can at once. False: it has ended.
  bool Turn() {
    for (int i = 0; i < 64; ++i) {
      std::vector<pollfd> polls;
      link_->AppendTo(polls);
      if (poll(polls.data(), polls.size(), 0) <= 0) return true;
      if (!link_->Handle(polls.data(), TakesAll)) return false;
    }
    return true;
  }
  static std::string ReadAll(int fd) {
    std::string all;
    char bytes[64 * 1024];
    ssize_t got;
    while ((got = read(fd, bytes, sizeof bytes)) > 0) all.append(bytes, got);
    return all;
  }
  static size_t Count(const std::string& bytes, VmFrameType type, size_t* payloads = nullptr) {
    size_t count = 0;
    VmFrameParser parser(/*to_relay=*/false);
    EXPECT_TRUE(parser.Feed(bytes, [&](const VmFrameHeader& header, std::string_view payload) {
      if (header.type != type) return true;
      ++count;
      if (payloads != nullptr) *payloads += payload.size();
      return true;
    }));
    return count;
  }

  int guest_ = -1;
  int port_ = -1;
  std::unique_ptr<VmLink> link_;
};

TEST_F(VmLinkTest, ASinkGetsWhatCameAndThenItsEnd) {
  const auto [out, in] = Pipe();
  link_->AddSink(5, in);
  FromGuest(Frame(VmFrameType::kData, 5, "hello") + Frame(VmFrameType::kEnd, 5, ""));
  ASSERT_TRUE(Turn());
  EXPECT_EQ(ReadAll(out), "hello");
  EXPECT_FALSE(link_->has_sinks());
  char byte;
  EXPECT_EQ(read(out, &byte, 1), 0);
  close(out);
}

TEST_F(VmLinkTest, MoreThanItHasCreditForEndsTheGuest) {
  const auto [out, in] = Pipe();  // that nobody reads
  link_->AddSink(5, in);
  const std::string piece = Frame(VmFrameType::kData, 5, std::string(kMaxVmData, 'x'));
  bool goes_on = true;
  size_t sent = 0;
  while (goes_on && sent < 16 * kVmWindow) {
    FromGuest(piece);
    sent += kMaxVmData;
    goes_on = Turn();
  }
  EXPECT_FALSE(goes_on);
  EXPECT_TRUE(link_->broken());
  // What the pipe took, and the window.
  EXPECT_LE(sent, 2 * kVmWindow + kMaxVmData);
  close(out);
}

TEST_F(VmLinkTest, CreditComesBackForWhatWasTaken) {
  const auto [out, in] = Pipe();
  link_->AddSink(5, in);
  size_t taken = 0;
  for (int i = 0; i < 100; ++i) {
    FromGuest(Frame(VmFrameType::kData, 5, std::string(kMaxVmData, 'x')));
    ASSERT_TRUE(Turn());
    taken += ReadAll(out).size();
  }
  EXPECT_EQ(taken, 100u * kMaxVmData);
  EXPECT_GE(Count(ReadAll(guest_), VmFrameType::kCredit), 50u);
  close(out);
}

TEST_F(VmLinkTest, ASourceSendsNoMoreThanItsCredit) {
  const auto [out, in] = Pipe();
  fcntl(in, F_SETPIPE_SZ, 1 << 20);
  link_->AddSource(4, out);
  const std::string much(600 * 1024, 'y');
  ASSERT_EQ(write(in, much.data(), much.size()), static_cast<ssize_t>(much.size()));
  ASSERT_TRUE(Turn());
  size_t bytes = 0;
  Count(ReadAll(guest_), VmFrameType::kData, &bytes);
  EXPECT_EQ(bytes, kVmWindow);
  FromGuest(CreditFrame(4, 1000));
  ASSERT_TRUE(Turn());
  bytes = 0;
  Count(ReadAll(guest_), VmFrameType::kData, &bytes);
  EXPECT_EQ(bytes, 1000u);
  close(in);
}

TEST_F(VmLinkTest, CreditThatWasNotTakenEndsTheGuest) {
  const auto [out, in] = Pipe();
  link_->AddSource(4, out);
  FromGuest(CreditFrame(4, 0xffffffff));
  EXPECT_FALSE(Turn());
  EXPECT_TRUE(link_->broken());
  close(in);
}

TEST_F(VmLinkTest, FramesOfStreamsThatAreNotThereAreForgotten) {
  FromGuest(Frame(VmFrameType::kData, 77, "x") + Frame(VmFrameType::kEnd, 78, "") +
            Frame(VmFrameType::kGone, 79, "") + CreditFrame(80, 5));
  EXPECT_TRUE(Turn());
  EXPECT_FALSE(link_->broken());
}

TEST_F(VmLinkTest, WhoReadsNoMoreIsTold) {
  const auto [out, in] = Pipe();
  link_->AddSink(5, in);
  close(out);
  ASSERT_TRUE(Turn());
  EXPECT_EQ(Count(ReadAll(guest_), VmFrameType::kGone), 1u);
  EXPECT_FALSE(link_->has_sinks());
}

TEST_F(VmLinkTest, ASourceThatNobodyWantsIsClosed) {
  const auto [out, in] = Pipe();
  link_->AddSource(4, out);
  FromGuest(Frame(VmFrameType::kGone, 4, ""));
  ASSERT_TRUE(Turn());
  EXPECT_FALSE(link_->has_sources());
  EXPECT_LT(write(in, "x", 1), 0);
  close(in);
}

TEST_F(VmLinkTest, DrainSendsWhatIsThereAndNoMore) {
  const auto [out, in] = Pipe();
  link_->AddSource(4, out);
  ASSERT_EQ(write(in, "last words", 10), 10);
  size_t budget = 64 * 1024;
  EXPECT_TRUE(link_->Drain(4, budget));
  EXPECT_EQ(budget, 64 * 1024 - 10u);
  EXPECT_GT(link_->unsent(), 10u);
  EXPECT_TRUE(link_->has_sources());
  close(in);
}

TEST_F(VmLinkTest, DrainWithoutCreditSaysSo) {
  const auto [out, in] = Pipe();
  fcntl(in, F_SETPIPE_SZ, 1 << 20);
  link_->AddSource(4, out);
  const std::string much(kVmWindow + 1, 'y');
  ASSERT_EQ(write(in, much.data(), much.size()), static_cast<ssize_t>(much.size()));
  size_t budget = 2 * kVmWindow;
  EXPECT_FALSE(link_->Drain(4, budget));
  close(in);
}

}  // namespace
}  // namespace contree
