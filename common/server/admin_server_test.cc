#include "common/server/admin_server.h"

#include <httplib.h>

#include <atomic>

#include "common/telemetry/metrics.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"

namespace contree {
namespace {

using testing::HasSubstr;

TEST(AdminServerTest, TellsMetricsHealthAndReadiness) {
  CounterMetric calls("admin_test_calls_total", "Calls.");
  calls.Add({});
  std::atomic<bool> is_ready = true;
  ASSERT_OK_AND_ASSIGN(const auto server,
                       AdminServer::Start("127.0.0.1:0", [&] { return is_ready.load(); }));
  httplib::Client client(server->url());
  const auto metrics = client.Get("/metrics");
  ASSERT_TRUE(metrics);
  EXPECT_EQ(metrics->status, 200);
  EXPECT_THAT(metrics->get_header_value("Content-Type"), HasSubstr("version=0.0.4"));
  EXPECT_THAT(metrics->body, HasSubstr("admin_test_calls_total 1\n"));
  EXPECT_EQ(client.Get("/healthz")->status, 200);
  EXPECT_EQ(client.Get("/readyz")->status, 200);
  is_ready = false;
  EXPECT_EQ(client.Get("/readyz")->status, 503);
  EXPECT_EQ(client.Get("/healthz")->status, 200);
  EXPECT_EQ(client.Get("/secrets")->status, 404);
  EXPECT_EQ(client.Post("/metrics")->status, 405);
}

TEST(AdminServerTest, AnAddressThatIsNoneIsRefused) {
  EXPECT_THAT(AdminServer::Start("nowhere", [] { return true; }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("nowhere")));
}

}  // namespace
}  // namespace contree
