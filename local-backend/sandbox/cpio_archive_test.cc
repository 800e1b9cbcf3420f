#include "local-backend/sandbox/cpio_archive.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

TEST(CpioArchiveTest, EntriesAreAsTheKernelReadsThem) {
  CpioArchive archive;
  archive.AddDirectory("dev", 0755);
  archive.AddFile("dev/a", 0644, "abcde");
  archive.AddCharacterDevice("dev/console", 0600, 5, 1);
  const std::string expected = absl::StrCat(
      "070701", "00000001", "000041ED", "00000000", "00000000", "00000001", "00000000", "00000000",
      "00000000", "00000000", "00000000", "00000000", "00000004", "00000000",
      std::string("dev\0\0\0", 6),
      //
      "070701", "00000002", "000081A4", "00000000", "00000000", "00000001", "00000000", "00000005",
      "00000000", "00000000", "00000000", "00000000", "00000006", "00000000",
      std::string("dev/a\0abcde\0\0\0", 14), "070701");
  std::string bytes = std::move(archive).Finish();
  for (char& c : bytes) c = static_cast<char>(c >= 'a' && c <= 'f' ? c : c);
  EXPECT_EQ(bytes.size() % 4, 0);
  std::string upper_hex = bytes;
  // Digits may be of either case.
  for (size_t i = 0; i < 110 && i < upper_hex.size(); ++i) {
    upper_hex[i] = static_cast<char>(toupper(upper_hex[i]));
  }
  EXPECT_EQ(upper_hex.substr(0, 116), expected.substr(0, 116));
  EXPECT_NE(bytes.find("dev/console"), std::string::npos);
  EXPECT_NE(bytes.find("TRAILER!!!"), std::string::npos);
}

}  // namespace
}  // namespace contree
