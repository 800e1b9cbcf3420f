#include "common/auth/method_access.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/match.h"

namespace contree {
namespace {

constexpr absl::string_view kHealth = "/grpc.health.v1.Health/";

// All that only read. (ResolveImport is not among them: it hands out credentials.)
constexpr absl::string_view kReading[] = {
    "/contree.auth.v1.RegistryAuthService/GetTokenPage",
    "/contree.auth.v1.RegistryAuthService/ListCredentials",
    "/contree.sync.v1.SyncService/GetDirectoryState",
    "/contree.v1.ContreeService/FindFiles",
    "/contree.v1.ContreeService/GetIdentity",
    "/contree.v1.ContreeService/GetImage",
    "/contree.v1.ContreeService/GetImageLineage",
    "/contree.v1.ContreeService/GetOperation",
    "/contree.v1.ContreeService/Grep",
    "/contree.v1.ContreeService/ListFiles",
    "/contree.v1.ContreeService/ListImageOrigins",
    "/contree.v1.ContreeService/ListImages",
    "/contree.v1.ContreeService/ListOperations",
    "/contree.v1.ContreeService/ReadArchive",
    "/contree.v1.ContreeService/ReadFile",
    "/contree.v1.ContreeService/WatchOperation",
    "/contree.v1.ContreeService/WatchOperations",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
};

}  // namespace

std::optional<Scope> ScopeOfMethod(absl::string_view path) {
  if (absl::StartsWith(path, kHealth)) return std::nullopt;
  return std::find(std::begin(kReading), std::end(kReading), path) == std::end(kReading)
             ? Scope::kRun
             : Scope::kRead;
}

}  // namespace contree
