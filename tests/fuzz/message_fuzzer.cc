// Lines as a client on stdio sends them: parsed, routed, answered. What comes back has to be
// JSON-RPC.

#include <cstddef>
#include <cstdint>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "gateway/mcp/session.h"
#include "tests/fuzz/fuzzed_server.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using contree::fuzz::IsRequest;
  using contree::fuzz::RequireMessage;
  static const auto* const server = new contree::fuzz::FuzzedServer;
  const absl::string_view input(reinterpret_cast<const char*>(data), size);
  // Nobody here answers what the server asks: such a call is given up, not waited for.
  contree::gateway::PendingCall* running = nullptr;
  contree::gateway::Session session(server->server(), [&running](const std::string& message) {
    RequireMessage(message);
    if (running != nullptr && IsRequest(message)) running->Stop();
  });
  for (const absl::string_view line : absl::StrSplit(input, '\n')) {
    auto accepted = session.Accept(line);
    if (accepted.answer.has_value()) RequireMessage(*accepted.answer);
    if (accepted.call == nullptr) continue;
    running = accepted.call.get();
    if (const auto answer = accepted.call->Run()) RequireMessage(answer->json);
    running = nullptr;
  }
  return 0;
}
