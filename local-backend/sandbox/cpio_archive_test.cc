#include "local-backend/sandbox/cpio_archive.h"

#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

TEST(CpioArchiveTest, EntriesAreAsTheKernelReadsThem) {
  CpioArchive archive;
  archive.AddDirectory("dev", 0755);
  archive.AddFile("dev/a", 0644, "abcde");
  archive.AddCharacterDevice("dev/console", 0600, 5, 1);
  const std::string expected =
      absl::StrCat("070701", "00000001", "000041ED", "00000000", "00000000", "00000001", "00000000",
                   "00000000", "00000000", "00000000", "00000000", "00000000", "00000004",
                   "00000000", std::string("dev\0\0\0", 6),
                   //
                   "070701", "00000002", "000081A4", "00000000", "00000000", "00000001", "00000000",
                   "00000005", "00000000", "00000000", "00000000", "00000000", "00000006",
                   "00000000", std::string("dev/a\0", 6), std::string("abcde\0\0\0", 8), "070701");
  const std::string bytes = std::move(archive).Finish();
  EXPECT_EQ(bytes.size() % 4, 0);
  EXPECT_EQ(absl::AsciiStrToUpper(bytes.substr(0, expected.size())),
            absl::AsciiStrToUpper(expected));
  EXPECT_NE(bytes.find("dev/console"), std::string::npos);
  EXPECT_NE(bytes.find("TRAILER!!!"), std::string::npos);
}

}  // namespace
}  // namespace contree
