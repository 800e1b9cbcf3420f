#include "gateway/resources/mime_type.h"

#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

TEST(MimeTypeTest, TheExtensionDecidesWhateverItsCase) {
  EXPECT_EQ(MimeTypeByName("/a/b.py"), "text/x-python");
  EXPECT_EQ(MimeTypeByName("PHOTO.JPG"), "image/jpeg");
  EXPECT_EQ(MimeTypeByName("archive.tar.gz"), "application/gzip");
  EXPECT_EQ(MimeTypeByName("/src/Dockerfile"), "text/x-dockerfile");
}

TEST(MimeTypeTest, ANameThatSaysNothingHasNone) {
  for (const char* path : {"", "/", "/etc/passwd", "/root/.profile", "/a.d/b", "x.", "x.unheard"}) {
    EXPECT_EQ(MimeTypeByName(path), "") << path;
  }
}

}  // namespace
}  // namespace contree::gateway
