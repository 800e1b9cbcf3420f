#include "local-backend/sandbox/network_frames.h"

#include <arpa/inet.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/text/hex.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

std::string Ip(const char* text) {
  in_addr address;
  inet_pton(AF_INET, text, &address);
  return std::string(reinterpret_cast<const char*>(&address), 4);
}

// A UDP packet of 4 bytes, in a frame.
std::string Frame(const char* to, uint16_t type = 0x0800, uint8_t protocol = 17) {
  std::string frame = BytesOfHex("9a9b9c9d9e9f525400000001");
  frame.push_back(static_cast<char>(type >> 8));
  frame.push_back(static_cast<char>(type & 0xff));
  frame += BytesOfHex("45000020000000004000");
  frame[frame.size() - 1] = static_cast<char>(protocol);
  frame += std::string(2, '\0') + Ip("10.0.2.15") + Ip(to);
  frame += BytesOfHex("12340035000c0000") + "abcd";
  return frame;
}

const ForbiddenAddresses kForbidden({0xc6336407});  // 198.51.100.7

TEST(JudgeFrameTest, WorldIsInReach) {
  for (const char* to : {"93.184.216.34", "10.0.2.2", "192.168.1.1", "198.51.100.8"}) {
    EXPECT_EQ(JudgeFrame(Frame(to), kForbidden), FrameVerdict::kPass) << to;
  }
}

TEST(JudgeFrameTest, ThisMachineAndItsSecretsAreNot) {
  for (const char* to :
       {"127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "169.254.169.254", "198.51.100.7"}) {
    EXPECT_EQ(JudgeFrame(Frame(to), kForbidden), FrameVerdict::kRefuse) << to;
  }
}

TEST(JudgeFrameTest, NameserverIsForNamesOnly) {
  EXPECT_EQ(JudgeFrame(Frame("10.0.2.3", 0x0800, 17), kForbidden), FrameVerdict::kPass);
  EXPECT_EQ(JudgeFrame(Frame("10.0.2.3", 0x0800, 6), kForbidden), FrameVerdict::kPass);
  EXPECT_EQ(JudgeFrame(Frame("10.0.2.3", 0x0800, 1), kForbidden), FrameVerdict::kRefuse);
  std::string other_port = Frame("10.0.2.3");
  other_port[37] = 54;
  EXPECT_EQ(JudgeFrame(other_port, kForbidden), FrameVerdict::kRefuse);
  std::string fragment = Frame("10.0.2.3");
  fragment[20] = 0x20;  // more will follow
  EXPECT_EQ(JudgeFrame(fragment, kForbidden), FrameVerdict::kRefuse);
  std::string lying = Frame("10.0.2.3");
  lying[14] = 0x4f;  // the port would be beyond the end
  EXPECT_EQ(JudgeFrame(lying, kForbidden), FrameVerdict::kRefuse);
}

TEST(JudgeFrameTest, ArpPassesAndOtherProtocolsAreIgnored) {
  EXPECT_EQ(JudgeFrame(Frame("127.0.0.1", 0x0806), kForbidden), FrameVerdict::kPass);
  EXPECT_EQ(JudgeFrame(Frame("93.184.216.34", 0x86dd), kForbidden), FrameVerdict::kIgnore);
  EXPECT_EQ(JudgeFrame(Frame("255.255.255.255"), kForbidden), FrameVerdict::kIgnore);
  EXPECT_EQ(JudgeFrame(Frame("224.0.0.251"), kForbidden), FrameVerdict::kIgnore);
  EXPECT_EQ(JudgeFrame("", kForbidden), FrameVerdict::kIgnore);
  EXPECT_EQ(JudgeFrame(Frame("93.184.216.34").substr(0, 33), kForbidden), FrameVerdict::kIgnore);
}

TEST(JudgeFrameTest, OwnAddressesAreAmongTheForbidden) {
  EXPECT_TRUE(ForbiddenAddresses::OfThisMachine().Contains(0x7f000001));
}

TEST(RefusalTest, SaysAdministrativelyProhibitedWithTheRightSums) {
  const std::string answer = RefusalOf(Frame("198.51.100.7"));
  ASSERT_EQ(answer.size(), 14 + 20 + 8 + 28);
  // Back to the sender, from the one it wanted to speak with.
  EXPECT_EQ(absl::BytesToHexString(answer.substr(0, 14)), "5254000000019a9b9c9d9e9f0800");
  EXPECT_EQ(answer.substr(26, 4), Ip("198.51.100.7"));
  EXPECT_EQ(answer.substr(30, 4), Ip("10.0.2.15"));
  EXPECT_EQ(absl::BytesToHexString(answer.substr(34, 2)), "030a");
  EXPECT_EQ(answer.substr(42), Frame("198.51.100.7").substr(14, 28));
  // A sum over what includes its own check sum is all ones.
  const auto sum = [](absl::string_view bytes) {
    uint32_t total = 0;
    for (size_t i = 0; i < bytes.size(); i += 2) {
      total += static_cast<uint32_t>(static_cast<uint8_t>(bytes[i])) << 8 |
               static_cast<uint8_t>(bytes[i + 1]);
    }
    while (total > 0xffff) total = (total & 0xffff) + (total >> 16);
    return total;
  };
  EXPECT_EQ(sum(absl::string_view(answer).substr(14, 20)), 0xffff);
  EXPECT_EQ(sum(absl::string_view(answer).substr(34)), 0xffff);
}

TEST(RefusalTest, NothingIsSaidAboutErrorsFragmentsAndNonsense) {
  std::string error = Frame("127.0.0.1", 0x0800, 1);
  error[34] = 3;
  EXPECT_EQ(RefusalOf(error), "");
  std::string echo = error;
  echo[34] = 8;
  EXPECT_NE(RefusalOf(echo), "");
  std::string fragment = Frame("127.0.0.1");
  fragment[21] = 5;
  EXPECT_EQ(RefusalOf(fragment), "");
  std::string lying = Frame("127.0.0.1");
  lying[14] = 0x4f;  // a header longer than the packet
  EXPECT_EQ(RefusalOf(lying.substr(0, 40)), "");
  EXPECT_EQ(RefusalOf("short"), "");
}

}  // namespace
}  // namespace contree
