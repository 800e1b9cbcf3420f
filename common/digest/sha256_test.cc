#include "common/digest/sha256.h"

#include "absl/strings/escaping.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

// FIPS 180-2, appendix B.
constexpr char kAbc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr char kEmpty[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

TEST(Sha256Test, HashesTheStandardsExamples) {
  EXPECT_EQ(Sha256Of("abc").ToHex(), kAbc);
  EXPECT_EQ(Sha256Of("").ToHex(), kEmpty);
}

TEST(Sha256Test, PiecesHashAsTheWholeAndItIsReusable) {
  Sha256 hash;
  hash.Add("a");
  hash.Add("");
  hash.Add("bc");
  EXPECT_EQ(hash.Finish().ToHex(), kAbc);
  EXPECT_EQ(hash.Finish().ToHex(), kEmpty);
  hash.Add("abc");
  EXPECT_EQ(hash.Finish().ToHex(), kAbc);
}

TEST(Sha256Test, ADigestIsItsBytes) {
  const Sha256Digest digest = Sha256FromBytes(absl::HexStringToBytes(kAbc));
  EXPECT_EQ(digest, Sha256Of("abc"));
  EXPECT_FALSE(digest == Sha256Of("abd"));
  EXPECT_FALSE(digest.IsZero());
  EXPECT_TRUE(Sha256Digest().IsZero());
}

}  // namespace
}  // namespace contree
