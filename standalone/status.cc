#include "standalone/status.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "common/status/status_macros.h"
#include "standalone/backend_connection.h"
#include "standalone/directory_size.h"
#include "standalone/platform_check.h"
#include "standalone/remote_channel.h"

namespace contree::standalone {
namespace {

using nlohmann::ordered_json;

constexpr absl::Duration kAnswerTimeout = absl::Seconds(10);

// One directory below the state directory.
struct Store {
  std::string name;
  std::string holds;
  DirectorySize size;
};

std::string Holds(const std::string& name) {
  static const auto& known = *new std::map<std::string, std::string>{
      {"local-backend", "images, files and operations of the embedded backend"},
      {"contree-service", "operations, their final records, lineage"},
      {"sync-service", "what was synchronised"},
      {"auth-service", "registry credentials, sealed"},
  };
  const auto found = known.find(name);
  return found == known.end() ? "" : found->second;
}

absl::StatusOr<std::vector<Store>> Stores(const std::string& state_dir) {
  std::vector<Store> stores;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(state_dir, error), end; !error && entry != end;
       entry.increment(error)) {
    if (!entry->is_directory(error)) continue;
    Store store{.name = entry->path().filename().string(), .holds = {}, .size = {}};
    store.holds = Holds(store.name);
    ASSIGN_OR_RETURN(store.size, MeasureDirectory(entry->path().string()));
    stores.push_back(std::move(store));
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return absl::ErrnoToStatus(error.value(), absl::StrCat("cannot read ", state_dir));
  }
  std::sort(stores.begin(), stores.end(),
            [](const Store& a, const Store& b) { return a.name < b.name; });
  return stores;
}

// What the embedded backend of the state directory says of itself; "running": false if there is
// none.
ordered_json DescribeBackend(const std::string& state_dir) {
  const absl::StatusOr<BackendConnection> backend = ConnectToBackend(state_dir, /*wake=*/-1);
  if (absl::IsUnavailable(backend.status()) || absl::IsNotFound(backend.status())) {
    return {{"running", false}};
  }
  if (!backend.ok()) return {{"running", false}, {"problem", backend.status().message()}};
  ordered_json described = {
      {"running", true}, {"pid", backend->pid}, {"url", backend->endpoint.base_url}};
  const absl::StatusOr<PlatformAnswer> answer = AskPlatform(backend->endpoint, kAnswerTimeout);
  if (answer.ok()) {
    described["operations"] = answer->operations;
  } else {
    described["problem"] = answer.status().message();
  }
  return described;
}

// The installation of --remote; null: there is none.
ordered_json DescribeRemote(const Options& options) {
  if (options.remote.empty()) return nullptr;
  ordered_json described = {{"url", options.remote}};
  const absl::StatusOr<PlatformAnswer> answer = AskRemote(RemoteOf(options), kAnswerTimeout);
  if (answer.ok()) {
    described["operations"] = answer->operations;
  } else {
    described["problem"] = answer.status().message();
  }
  return described;
}

std::string HumanBytes(uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  return absl::StrFormat(unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
}

// The operations that somebody tells of, or why they do not.
void PrintOperations(const ordered_json& teller, std::ostream& out) {
  const ordered_json operations = teller.value("operations", ordered_json::object());
  for (const auto& [what, count] : operations.items()) {
    out << "          " << what << ": " << count << "\n";
  }
  if (teller.contains("problem")) {
    out << "          " << teller.at("problem").get<std::string>() << "\n";
  }
}

void PrintBackend(const ordered_json& backend, std::ostream& out) {
  if (!backend.at("running").get<bool>()) {
    out << "backend   does not run; it starts when it is needed\n";
  } else {
    out << "backend   runs as process " << backend.at("pid") << ", serving "
        << backend.at("url").get<std::string>() << "\n";
  }
  PrintOperations(backend, out);
}

}  // namespace

absl::Status RunStatus(const Options& options, std::ostream& out) {
  const ordered_json remote = DescribeRemote(options);
  std::string platform = options.url.empty() ? "embedded" : options.url;
  if (!remote.is_null()) platform = options.remote;
  const ordered_json backend = DescribeBackend(options.state_dir);
  ASSIGN_OR_RETURN(const std::vector<Store> stores, Stores(options.state_dir));
  uint64_t total = 0;
  bool is_whole = true;
  for (const Store& store : stores) {
    total += store.size.bytes;
    is_whole = is_whole && store.size.is_whole;
  }
  if (options.json) {
    ordered_json all = {{"platform", platform}, {"backend", backend}};
    if (!remote.is_null()) all["remote"] = remote;
    if (!options.platform_problem.empty()) all["platform_problem"] = options.platform_problem;
    all["state_dir"] = options.state_dir;
    all["bytes"] = total;
    all["bytes_are_whole"] = is_whole;
    all["data"] = ordered_json::array();
    for (const Store& store : stores) {
      all["data"].push_back({{"name", store.name},
                             {"path", absl::StrCat(options.state_dir, "/", store.name)},
                             {"bytes", store.size.bytes},
                             {"files", store.size.files}});
    }
    out << all.dump(2, ' ', false, ordered_json::error_handler_t::replace) << std::endl;
    return absl::OkStatus();
  }
  if (!options.platform_problem.empty()) {
    out << "platform  unknown: " << options.platform_problem << "\n";
  } else {
    out << "platform  "
        << (platform == "embedded" ? "the embedded backend of this machine" : platform) << "\n";
  }
  if (!remote.is_null()) PrintOperations(remote, out);
  PrintBackend(backend, out);
  out << "data      " << options.state_dir
      << (stores.empty() ? " (nothing yet)"
                         : absl::StrCat(", ", is_whole ? "" : "at least ", HumanBytes(total)))
      << "\n";
  for (const Store& store : stores) {
    out << absl::StrFormat("          %-16s %10s  %6d files  %s\n", store.name,
                           HumanBytes(store.size.bytes), store.size.files, store.holds);
  }
  out << std::flush;
  return absl::OkStatus();
}

}  // namespace contree::standalone
