#include "gateway/tools/next_step.h"

#include "common/testing/status_matchers.h"

namespace contree::gateway {
namespace {

using absl::StatusCode;

TEST(NextStepTest, AnErrorOfTheCodeSaysWhatToDoNext) {
  EXPECT_THAT(WithNextStep(absl::NotFoundError("there is no x"), StatusCode::kNotFound,
                           "list_images shows the images"),
              StatusIs(StatusCode::kNotFound, "there is no x; list_images shows the images"));
}

TEST(NextStepTest, OtherErrorsAndThoseThatNameTheToolStay) {
  EXPECT_THAT(WithNextStep(absl::UnavailableError("away"), StatusCode::kNotFound, "list_images x"),
              StatusIs(StatusCode::kUnavailable, "away"));
  EXPECT_THAT(WithNextStep(absl::NotFoundError("see list_images"), StatusCode::kNotFound,
                           "list_images shows the images"),
              StatusIs(StatusCode::kNotFound, "see list_images"));
  EXPECT_OK(WithNextStep(absl::OkStatus(), StatusCode::kNotFound, "list_images x"));
}

TEST(NextStepTest, WhatIsMissingInAnImageIsLookedForThere) {
  EXPECT_THAT(WithNextStepInImage(absl::NotFoundError("no /x")),
              StatusIs(StatusCode::kNotFound, testing::HasSubstr("list_files shows")));
  EXPECT_THAT(WithNextStepInImage(absl::NotFoundError("no image y (list_images shows all)")),
              StatusIs(StatusCode::kNotFound, "no image y (list_images shows all)"));
}

}  // namespace
}  // namespace contree::gateway
