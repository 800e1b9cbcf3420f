#include "gateway/tools/operation_error.h"

#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

TEST(OperationErrorTest, NamesTheOperationOnce) {
  EXPECT_EQ(NameOperation(absl::UnavailableError("no connection"), "id-1"),
            absl::UnavailableError("operation id-1: no connection"));
  EXPECT_EQ(NameOperation(absl::NotFoundError("there is no operation id-1"), "id-1"),
            absl::NotFoundError("there is no operation id-1"));
  EXPECT_TRUE(NameOperation(absl::OkStatus(), "id-1").ok());
}

}  // namespace
}  // namespace contree::gateway
