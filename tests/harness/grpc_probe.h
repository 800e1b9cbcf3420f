#ifndef TESTS_HARNESS_GRPC_PROBE_H_
#define TESTS_HARNESS_GRPC_PROBE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace contree::testing_harness {

// What grpc.health.v1 at "HOST:PORT" says of `service` ("": of the whole server): "SERVING", ...
absl::StatusOr<std::string> HealthOf(const std::string& address, const std::string& service = "");

// The full names of the services that reflection (v1alpha) at "HOST:PORT" lists.
absl::StatusOr<std::vector<std::string>> ReflectedServices(const std::string& address);

}  // namespace contree::testing_harness

#endif  // TESTS_HARNESS_GRPC_PROBE_H_
