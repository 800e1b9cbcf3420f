#ifndef GATEWAY_MCP_SERVICES_H_
#define GATEWAY_MCP_SERVICES_H_

// What handlers of tools, resources, prompts and completions call and touch.

#include <functional>
#include <memory>
#include <string>

#include "common/time/clock.h"
#include "contree/auth/v1/registry_auth_service.grpc.pb.h"
#include "contree/sync/v1/sync_service.grpc.pb.h"
#include "contree/v1/contree_service.grpc.pb.h"
#include "gateway/sync/sync_activities.h"
#include "gateway/sync/synced_trees.h"
#include "gateway/workspace/workspace.h"

namespace contree::gateway {

// Thread-safe, as gRPC's stubs are; owned by the Gateway.
struct Services {
  std::unique_ptr<contree::v1::ContreeService::StubInterface> contree;
  // Null: this gateway has no auth-service.
  std::unique_ptr<auth::v1::RegistryAuthService::StubInterface> registry_auth = nullptr;
  // Null: this gateway has no sync-service.
  std::unique_ptr<sync::v1::SyncService::StubInterface> sync = nullptr;
  std::unique_ptr<SyncedTrees> trees = std::make_unique<SyncedTrees>(/*is_watching=*/true);
  std::unique_ptr<SyncActivities> syncs = std::make_unique<SyncActivities>();
  // Shows the user a page; false: it could not be. Null where the user is not at this machine.
  std::function<bool(const std::string& url)> open_in_browser = nullptr;
  std::unique_ptr<Clock> clock = std::make_unique<RealClock>();
  Workspace workspace = {};  // the files of this machine; by itself none
};

}  // namespace contree::gateway

#endif  // GATEWAY_MCP_SERVICES_H_
