#include "gateway/testing/fake_backend.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

TEST(GetGuideTest, ASectionComesWholeWithTheNamesOfAll) {
  FakeBackend backend;
  const json guide = backend.CallOk("get_guide", {{"section", "workflow"}});
  EXPECT_EQ(guide["section"], "workflow");
  EXPECT_THAT(guide["content"].get<std::string>(),
              AllOf(StartsWith("# Workflow"), HasSubstr("PREPARE")));
  EXPECT_EQ(guide["available_sections"],
            json({"workflow", "reference", "quickstart", "state", "async", "tagging", "errors"}));
}

TEST(GetGuideTest, AnUnknownSectionIsAnErrorThatListsTheKnownOnes) {
  FakeBackend backend;
  for (const char* section : {"intro", ""}) {
    EXPECT_THAT(backend.CallError("get_guide", {{"section", section}}),
                AllOf(HasSubstr(section), HasSubstr("workflow"), HasSubstr("errors")));
  }
  EXPECT_THAT(backend.CallError("get_guide", json::object()), HasSubstr("section"));
}

}  // namespace
}  // namespace contree::gateway
