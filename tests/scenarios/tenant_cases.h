#ifndef TESTS_SCENARIOS_TENANT_CASES_H_
#define TESTS_SCENARIOS_TENANT_CASES_H_

// How each RPC and each tool is called with what belongs to a tenant, or to nobody.

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace contree::testing_harness {

inline constexpr char kBusyboxImage[] = "tag:busybox:latest";
inline constexpr char kSyncedText[] = "what only alpha synced";  // of the one file a.txt

// What one tenant has, or what nobody has, in the same form.
struct Things {
  std::string image;
  std::string tag;
  std::string operation;  // ended
  std::string running;
  std::string file;
  std::string sha256;
  std::string state;
  std::string registry;
};

// One way of calling a method with what somebody has: the messages to send.
using Requests = std::vector<std::string>;
using Case = std::function<Requests(const Things&)>;

// By "/package.Service/Method".
std::map<std::string, std::vector<Case>> RpcCases();

// By the name of the tool: its arguments.
std::map<std::string, std::vector<nlohmann::json>> ToolCases(const Things& things);

}  // namespace contree::testing_harness

#endif  // TESTS_SCENARIOS_TENANT_CASES_H_
