#include "tests/fuzz/fuzzed_server.h"

#include <cstdlib>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "common/time/fake_clock.h"
#include "tests/conformance/fixtures.h"

namespace contree::fuzz {
namespace {

using nlohmann::json;

bool IsMessage(const json& value) {
  return value.is_object() && value.value("jsonrpc", json()) == "2.0" &&
         (value.contains("result") || value.contains("error") || value.contains("method"));
}

}  // namespace

FuzzedServer::FuzzedServer()
    : services_{.contree = nullptr,
                .clock = std::make_unique<FakeClock>(absl::FromUnixSeconds(1'700'000'000))},
      tools_(conformance::FixtureTools(), services_),
      resources_(conformance::FixtureResources(), conformance::FixtureResourceTemplates(),
                 services_),
      prompts_(conformance::FixturePrompts(), services_),
      completions_(conformance::FixtureCompletions(), prompts_, resources_, services_),
      sealer_(*gateway::TextSealer::OfNewKey()),
      server_({tools_, resources_, prompts_, completions_}, sealer_) {}

void RequireMessage(absl::string_view text) {
  const json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
  bool is_good = !absl::StrContains(text, '\n');
  if (value.is_array()) {
    for (const json& one : value) is_good = is_good && IsMessage(one);
  } else {
    is_good = is_good && IsMessage(value);
  }
  if (is_good) return;
  std::cerr << "This must not go to a client: " << text << std::endl;
  std::abort();
}

bool IsRequest(absl::string_view text) {
  const json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
  return value.is_object() && value.contains("id") && value.contains("method");
}

}  // namespace contree::fuzz
