#ifndef COMMON_SERVER_CALL_AUTHENTICATION_H_
#define COMMON_SERVER_CALL_AUTHENTICATION_H_

// Who calls a gRPC server. Two parts, for gRPC has no place that does both: what refuses a call
// before any handler sees it, and what tells the handler (IncomingCall) who was let in. The
// properties of a grpc::AuthContext are no such place: they are shared by all calls of a
// connection.

#include <grpcpp/security/auth_metadata_processor.h>
#include <grpcpp/support/server_interceptor.h>

#include <memory>

#include "common/auth/authenticator.h"
#include "common/limits/tenant_limits.h"

namespace contree {

// Refuses calls without a token that holds (UNAUTHENTICATED) or without the scope of the method
// (PERMISSION_DENIED, see common/auth/method_access.h); never waits. `authenticator` null:
// everybody is let in but those who show a token, for whoever sends one relies on its being looked
// at. `limits`, if any: calls beyond the tenant's requests per second are refused with
// RESOURCE_EXHAUSTED, whose message says when to try again (gRPC lets a guard send no metadata).
std::shared_ptr<grpc::AuthMetadataProcessor> MakeCallGuard(
    std::shared_ptr<Authenticator> authenticator, std::shared_ptr<TenantLimits> limits = nullptr);

// Tells handlers the tenant and principal of each call. A call whose token does not hold any more,
// or which came past the guard, is of the tenant "" that nobody is, and cancelled.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeCallerTelling(
    std::shared_ptr<Authenticator> authenticator);

}  // namespace contree

#endif  // COMMON_SERVER_CALL_AUTHENTICATION_H_
