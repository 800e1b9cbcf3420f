#include "common/files/sha256.h"

#include "absl/strings/escaping.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

TEST(Sha256Test, KnownValues) {
  EXPECT_EQ(Sha256Hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256Test, BytesAreTheSameDigest) {
  EXPECT_EQ(Sha256Bytes("abc").size(), 32U);
  EXPECT_EQ(absl::BytesToHexString(Sha256Bytes("abc")), Sha256Hex("abc"));
}

TEST(Sha256Test, PiecesAreTheWhole) {
  Sha256 hash;
  hash.Update("a");
  hash.Update("");
  hash.Update("bc");
  EXPECT_EQ(hash.FinishHex(), Sha256Hex("abc"));
  hash.Update("a");
  EXPECT_EQ(hash.FinishHex(), Sha256Hex("a"));
}

TEST(Sha256Test, KnowsTheForm) {
  EXPECT_TRUE(IsSha256Hex(Sha256Hex("x")));
  EXPECT_FALSE(IsSha256Hex(""));
  EXPECT_FALSE(IsSha256Hex(std::string(64, 'A')));
  EXPECT_FALSE(IsSha256Hex(std::string(65, 'a')));
}

}  // namespace
}  // namespace contree
