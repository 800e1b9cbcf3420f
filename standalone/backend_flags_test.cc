#include "standalone/backend_flags.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree::standalone {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(BackendFlagsTest, NothingWasAskedFor) { EXPECT_THAT(BackendFlags(Options{}), IsEmpty()); }

TEST(BackendFlagsTest, RegistriesAndPartsOfVirtualMachinesAreHandedOn) {
  Options options;
  options.insecure_registries = {"127.0.0.1:5000"};
  options.private_registries = {"registry.lan", "10.0.0.1"};
  options.vm_kernel = "/boot/mine";
  EXPECT_THAT(BackendFlags(options),
              ElementsAre("--insecure-registry=127.0.0.1:5000", "--private-registry=registry.lan",
                          "--private-registry=10.0.0.1"));
  options.isolation = "microvm";
  options.vm_modules = "/lib/mine";
  options.vm_accelerator = "software";
  EXPECT_THAT(BackendFlags(options),
              ElementsAre("--insecure-registry=127.0.0.1:5000", "--private-registry=registry.lan",
                          "--private-registry=10.0.0.1", "--vm-kernel=/boot/mine",
                          "--vm-modules=/lib/mine", "--vm-accelerator=software"));
}

}  // namespace
}  // namespace contree::standalone
