#ifndef COMMON_STATUS_STATUS_MACROS_H_
#define COMMON_STATUS_STATUS_MACROS_H_

// RETURN_IF_ERROR(expression) and ASSIGN_OR_RETURN(variable, expression): leave the enclosing
// function, which returns absl::Status or absl::StatusOr<T>, with the first error.

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define RETURN_IF_ERROR(expression)                                                     \
  do {                                                                                  \
    if (absl::Status status_of_expression = (expression); !status_of_expression.ok()) { \
      return status_of_expression;                                                      \
    }                                                                                   \
  } while (false)

#define CONTREE_STATUS_MACROS_JOIN_(a, b) a##b
#define CONTREE_STATUS_MACROS_NAME_(a, b) CONTREE_STATUS_MACROS_JOIN_(a, b)
#define CONTREE_ASSIGN_OR_RETURN_(result, variable, expression) \
  auto result = (expression);                                   \
  if (!result.ok()) return std::move(result).status();          \
  variable = *std::move(result)

#define ASSIGN_OR_RETURN(variable, expression) \
  CONTREE_ASSIGN_OR_RETURN_(CONTREE_STATUS_MACROS_NAME_(status_or_, __LINE__), variable, expression)

#endif  // COMMON_STATUS_STATUS_MACROS_H_
