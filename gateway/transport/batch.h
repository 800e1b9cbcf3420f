#ifndef GATEWAY_TRANSPORT_BATCH_H_
#define GATEWAY_TRANSPORT_BATCH_H_

// JSON-RPC batches of protocol 2025-03-26: messages that arrive together, and whose answers leave
// together.

#include <functional>
#include <string>
#include <vector>

#include "gateway/jsonrpc/message.h"
#include "gateway/mcp/session.h"
#include "gateway/transport/worker_pool.h"

namespace contree::gateway {

// Takes the messages in their order with `accept`, runs the calls side by side on `pool`, and calls
// `done` once, from any thread: with the answers as a JSON array, or with "" where there are none.
// An initialize is refused: nothing could be agreed on before the rest. What `accept` and `done`
// use must live until then.
void RunBatch(std::vector<ParsedMessage> messages,
              const std::function<Session::Accepted(ParsedMessage)>& accept, WorkerPool& pool,
              std::function<void(std::string answers)> done);

}  // namespace contree::gateway

#endif  // GATEWAY_TRANSPORT_BATCH_H_
