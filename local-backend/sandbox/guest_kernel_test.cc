#include "local-backend/sandbox/guest_kernel.h"

#include <cstring>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A bzImage as far as its header goes, with this version.
std::string BzImage(absl::string_view version) {
  std::string image(4096, '\0');
  image.replace(0x202, 4, "HdrS");
  const uint16_t at = 0x600;
  memcpy(image.data() + 0x20e, &at, sizeof at);
  image.replace(at + 0x200, version.size(), version.data(), version.size());
  return image;
}

TEST(GuestKernelTest, ItsVersionIsTheFirstWord) {
  ASSERT_OK_AND_ASSIGN(const std::string version,
                       KernelVersion(BzImage("6.1.0-9-amd64 (debian@debian) #1")));
  EXPECT_EQ(version, "6.1.0-9-amd64");
}

TEST(GuestKernelTest, WhatIsNoKernelIsRefused) {
  const std::string outside = [] {
    std::string image = BzImage("x");
    image.replace(0x20e, 2, "\xff\xff");
    return image;
  }();
  for (const std::string& image :
       {std::string("short"), std::string(4096, 'x'), BzImage(""), BzImage("../etc"), outside}) {
    EXPECT_THAT(KernelVersion(image), StatusIs(absl::StatusCode::kInvalidArgument, testing::_));
  }
}

TEST(GuestKernelTest, WhatCannotBeUnpackedStaysAsItIs) {
  std::string image = BzImage("6.1");
  EXPECT_EQ(UnpackKernel(image), image);
  // A payload that is said to be beyond the end, and one that is none.
  image.replace(0x248, 8, "\xff\xff\xff\x7f\xff\xff\xff\x7f");
  EXPECT_EQ(UnpackKernel(image), image);
  image.replace(0x248, 8, std::string("\0\0\0\0\0\1\0\0", 8));
  EXPECT_EQ(UnpackKernel(image), image);
  EXPECT_EQ(UnpackKernel("x"), "x");
}

TEST(GuestKernelTest, AModuleSaysWhatItNeeds) {
  using std::string_literals::operator""s;
  EXPECT_THAT(ModuleDependencies("\x7f"
                                 "ELF...license=GPL\0depends=virtio,virtio-ring\0name=x\0"s),
              ElementsAre("virtio", "virtio_ring"));
  EXPECT_THAT(ModuleDependencies("a\0depends=\0b"s), IsEmpty());
  EXPECT_THAT(ModuleDependencies("nothing"), IsEmpty());
  EXPECT_THAT(ModuleDependencies("cut\0depends=a,b"s), ElementsAre("a", "b"));
}

TEST(GuestKernelTest, OneThatIsNotThereIsSaid) {
  EXPECT_THAT(
      LoadGuestKernel({.kernel = "/no/kernel"}).status(),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("there is no kernel /no/kernel")));
}

}  // namespace
}  // namespace contree
