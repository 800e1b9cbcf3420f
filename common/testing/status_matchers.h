#ifndef COMMON_TESTING_STATUS_MATCHERS_H_
#define COMMON_TESTING_STATUS_MATCHERS_H_

// GoogleTest matchers and assertions for absl::Status and absl::StatusOr<T>, which Debian's Abseil
// does not have.

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree {

inline const absl::Status& GetStatus(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& GetStatus(const absl::StatusOr<T>& result) {
  return result.status();
}

MATCHER(IsOk, negation ? "is an error" : "is OK") {
  *result_listener << GetStatus(arg).ToString();
  return GetStatus(arg).ok();
}

// Matches an error of this code whose message matches (a matcher or a string).
MATCHER_P2(StatusIs, code, message, "") {
  *result_listener << GetStatus(arg).ToString();
  return GetStatus(arg).code() == code &&
         testing::ExplainMatchResult(message, std::string(GetStatus(arg).message()),
                                     result_listener);
}

}  // namespace contree

#define EXPECT_OK(expression) EXPECT_THAT(expression, ::contree::IsOk())
#define ASSERT_OK(expression) ASSERT_THAT(expression, ::contree::IsOk())

#define CONTREE_TESTING_JOIN_(a, b) a##b
#define CONTREE_TESTING_NAME_(a, b) CONTREE_TESTING_JOIN_(a, b)
#define CONTREE_ASSERT_OK_AND_ASSIGN_(result, variable, expression) \
  auto result = (expression);                                       \
  ASSERT_THAT(result, ::contree::IsOk());                           \
  variable = *std::move(result)
#define ASSERT_OK_AND_ASSIGN(variable, expression) \
  CONTREE_ASSERT_OK_AND_ASSIGN_(CONTREE_TESTING_NAME_(status_or_, __LINE__), variable, expression)

#endif  // COMMON_TESTING_STATUS_MATCHERS_H_
