#ifndef TESTS_HARNESS_INSTALLATION_H_
#define TESTS_HARNESS_INSTALLATION_H_

// An installation for several tenants: local-backend with a project for each, the three services
// and a gateway as separate programs, every one of which asks who calls (--auth=keys).

#include <memory>
#include <string>
#include <vector>

#include "common/testing/temp_directory.h"
#include "tests/harness/server_process.h"

namespace contree::testing_harness {

inline constexpr char kAlphaKey[] = "key-of-alpha";
inline constexpr char kBetaKey[] = "key-of-beta";
inline constexpr char kAlphaReader[] = "key-of-alphas-dashboard";  // contree:read only

class Installation {
 public:
  // Starts it; a failure is the test's. `registry` ("HOST:PORT", or empty) is one that auth-service
  // speaks to without TLS.
  explicit Installation(const std::string& registry);

  // Of gRPC: "127.0.0.1:PORT".
  const std::string& contree_service() const { return contree_service_; }
  const std::string& auth_service() const { return auth_service_; }
  const std::string& sync_service() const { return sync_service_; }
  const std::string& gateway_grpc() const { return gateway_grpc_; }
  const std::string& mcp_url() const { return mcp_url_; }
  // All that the programs have logged.
  std::string Logs();

 private:
  ServerProcess& Start(const std::string& target, const std::string& name,
                       const std::vector<std::string>& flags, bool with_keys = true);

  const TempDirectory directory_;
  std::vector<std::unique_ptr<ServerProcess>> processes_;
  std::string contree_service_;
  std::string auth_service_;
  std::string sync_service_;
  std::string gateway_grpc_;
  std::string mcp_url_;
};

}  // namespace contree::testing_harness

#endif  // TESTS_HARNESS_INSTALLATION_H_
