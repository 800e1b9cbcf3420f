#ifndef COMMON_RPC_RESTART_PATIENCE_H_
#define COMMON_RPC_RESTART_PATIENCE_H_

// How long calls wait for a service that is away. They are made "wait for ready": one that begins
// while the service restarts, or whose connection ended before it was sent, goes on once the
// service is back. This gives up in the place of a deadline that may be an hour off: with
// UNAVAILABLE, after 30 s for a service that has been there before, after 3 s for one that nobody
// has reached yet, whose address may just be wrong. Calls that follow then fail at once, until it
// is back.
//
// Thread-safe. What has arrived at the service is left alone.

#include <grpcpp/support/client_interceptor.h>

#include <memory>
#include <string>

#include "absl/time/time.h"

namespace contree {

struct RestartPatienceOptions {
  absl::Duration known = absl::Seconds(30);   // for a service that was reached before
  absl::Duration unknown = absl::Seconds(3);  // for one that never was
  absl::Duration look_every = absl::Milliseconds(250);
};

// For one channel; `address` is what errors call it.
std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface> MakeRestartPatience(
    const std::string& address, const RestartPatienceOptions& options = {});

}  // namespace contree

#endif  // COMMON_RPC_RESTART_PATIENCE_H_
