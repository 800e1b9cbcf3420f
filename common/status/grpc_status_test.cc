#include "common/status/grpc_status.h"

#include "common/status/status_context.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

TEST(GrpcStatusTest, EveryCodeCrossesTheEdgeAndComesBack) {
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "image 'x' was not found");
    EXPECT_EQ(FromGrpcStatus(ToGrpcStatus(status)), status) << code;
  }
}

TEST(GrpcStatusTest, OkStaysOk) {
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
  EXPECT_TRUE(FromGrpcStatus(grpc::Status::OK).ok());
}

TEST(StatusContextTest, AnnotatePutsTheContextInFrontAndKeepsTheCode) {
  EXPECT_EQ(Annotate(absl::NotFoundError("no such tag"), "image 'a'"),
            absl::NotFoundError("image 'a': no such tag"));
  EXPECT_TRUE(Annotate(absl::OkStatus(), "image 'a'").ok());
}

}  // namespace
}  // namespace contree
