#ifndef COMMON_RPC_SERVICE_CHANNEL_H_
#define COMMON_RPC_SERVICE_CHANNEL_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>

namespace contree {

// A channel to one of our services elsewhere ("HOST:PORT"). It connects with the first call, and
// again soon after the service was restarted.
std::shared_ptr<grpc::Channel> ChannelTo(const std::string& address);

}  // namespace contree

#endif  // COMMON_RPC_SERVICE_CHANNEL_H_
