// What rsync costs on a tree of 100,000 files, measured on the real program through MCP on stdio,
// beside `git status` and a plain walk of the same tree in the same run; and how fast files are
// hashed, beside `openssl speed`. Machines differ and are noisy: quote the ratio.
//
//   sync_bench PROGRAM [RUNS]

#include <stdio.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "bench/measurement.h"
#include "common/status/status_macros.h"
#include "common/testing/temp_directory.h"
#include "gateway/sync/file_reader.h"
#include "gateway/sync/tree.h"
#include "gateway/workspace/workspace.h"
#include "standalone/mcp_stdio_client.h"

namespace contree {
namespace {

using bench::Distribution;
using bench::Measure;
using bench::PrintFigure;
using bench::PrintTimes;
using bench::ResidentMegabytes;
using bench::TimeOfProcess;
using nlohmann::json;
using standalone::McpStdioClient;

constexpr absl::Duration kTimeout = absl::Minutes(10);
constexpr int kFiles = 100'000;
constexpr int kTopDirectories = 20;
constexpr int kSubdirectories = 100;  // of each: 1 + 20 + 2,000 directories
constexpr int kDirectories = kTopDirectories * kSubdirectories;
// Most files of a large tree are copies of others here: what is measured is comparing, and making
// a hundred thousand blobs takes minutes.
constexpr int kContents = 500;
constexpr int kEdits = 100;
constexpr int kSmallFiles = 10'000;
constexpr int64_t kHashedBytes = 512 << 20;

std::string DirectoryOf(const std::string& root, int directory) {
  return absl::StrCat(root, "/part_", directory % kTopDirectories, "/module_",
                      directory / kTopDirectories);
}

std::string FileOf(const std::string& root, int file) {
  return absl::StrCat(DirectoryOf(root, file % kDirectories), "/source_", file / kDirectories,
                      ".py");
}

void MakeTree(const std::string& root) {
  for (int i = 0; i < kDirectories; ++i) std::filesystem::create_directories(DirectoryOf(root, i));
  for (int i = 0; i < kFiles; ++i) {
    std::ofstream(FileOf(root, i)) << std::string(200, 'x') << i % kContents << "\n";
  }
}

// One thread, one stat for each file: what any tool does at least that keeps nothing.
absl::StatusOr<absl::Duration> TimeOfPlainWalk(const std::string& root) {
  const absl::Time start = absl::Now();
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    struct stat info;
    if (lstat(entry.path().c_str(), &info) == 0 && S_ISREG(info.st_mode)) ++files;
  }
  if (files < kFiles) return absl::InternalError(absl::StrCat("walked ", files, " files only"));
  return absl::Now() - start;
}

absl::StatusOr<std::unique_ptr<McpStdioClient>> StartSession(const std::string& program,
                                                             const std::string& state_dir,
                                                             bool is_watching) {
  std::vector<std::string> command = {program, "--local",     "--mode",
                                      "stdio", "--state-dir", state_dir};
  if (!is_watching) command.emplace_back("--no-watch");
  ASSIGN_OR_RETURN(auto client, McpStdioClient::Start(command));
  RETURN_IF_ERROR(client->Initialize("2025-06-18", kTimeout).status());
  return client;
}

absl::StatusOr<json> Call(McpStdioClient& client, const std::string& tool, const json& arguments) {
  ASSIGN_OR_RETURN(const json result, client.CallTool(tool, arguments, kTimeout));
  if (result.value("isError", false)) return absl::InternalError(result.dump());
  return result["structuredContent"];
}

absl::StatusOr<absl::Duration> TimeOfSync(McpStdioClient& client, const json& arguments,
                                          int64_t uploaded) {
  const absl::Time start = absl::Now();
  ASSIGN_OR_RETURN(const json result, Call(client, "rsync", arguments));
  const absl::Duration time = absl::Now() - start;
  if (uploaded >= 0 && result["uploaded_files"] != uploaded) {
    return absl::InternalError(absl::StrCat("not ", uploaded, " files uploaded: ", result.dump()));
  }
  return time;
}

absl::StatusOr<absl::Duration> TimeOfEditsAndSync(McpStdioClient& client, const std::string& root,
                                                  const json& arguments) {
  static int round = 0;
  ++round;
  for (int i = 0; i < kEdits; ++i) {
    std::ofstream(FileOf(root, i * (kFiles / kEdits) + round), std::ios::app)
        << "edit " << round << " " << i << "\n";
  }
  return TimeOfSync(client, arguments, kEdits);
}

absl::Status BenchLargeTree(const std::string& program, int runs) {
  const TempDirectory state;
  const TempDirectory source;
  std::cout << "making " << kFiles << " files in " << kDirectories + kTopDirectories + 1
            << " directories" << std::endl;
  MakeTree(source.path());
  const std::string git = absl::StrCat("git -C ", source.path(), " ");
  RETURN_IF_ERROR(TimeOfProcess({"sh", "-c",
                                 absl::StrCat(git, "init -q && ", git, "add -A && ", git,
                                              "-c user.name=b -c user.email=b@b commit -q -m b")})
                      .status());
  const json arguments = {
      {"source", source.path()}, {"destination", "/app"}, {"exclude", {".git/"}}};

  ASSIGN_OR_RETURN(const auto walking, StartSession(program, state.path(), false));
  ASSIGN_OR_RETURN(const absl::Duration first, TimeOfSync(*walking, arguments, kContents));
  PrintFigure("first sync, 500 different contents", absl::ToDoubleMilliseconds(first), "ms", "",
              "");
  ASSIGN_OR_RETURN(
      const Distribution status, Measure(runs, [&] {
        return TimeOfProcess({"sh", "-c", absl::StrCat(git, "status --porcelain >/dev/null")});
      }));
  ASSIGN_OR_RETURN(const Distribution walk,
                   Measure(runs, [&] { return TimeOfPlainWalk(source.path()); }));
  PrintTimes("plain walk", walk, "git status", status, "");
  ASSIGN_OR_RETURN(const Distribution unchanged_walking,
                   Measure(runs, [&] { return TimeOfSync(*walking, arguments, 0); }));
  PrintTimes("unchanged, walking", unchanged_walking, "git status", status, "p50 under 250 ms");
  PrintTimes("unchanged, walking", unchanged_walking, "a plain walk", walk, "");
  ASSIGN_OR_RETURN(const Distribution edits_walking, Measure(runs, [&] {
                     return TimeOfEditsAndSync(*walking, source.path(), arguments);
                   }));
  PrintTimes("100 edits, walking", edits_walking, "git status", status, "p50 under 350 ms");
  PrintFigure("memory of contree-mcp, both ends, walking", ResidentMegabytes(walking->pid()), "MB",
              "", "under 100 MB");

  ASSIGN_OR_RETURN(const auto watching, StartSession(program, state.path(), true));
  RETURN_IF_ERROR(TimeOfSync(*watching, arguments, 0).status());
  ASSIGN_OR_RETURN(const Distribution unchanged_watched,
                   Measure(runs, [&] { return TimeOfSync(*watching, arguments, 0); }));
  PrintTimes("unchanged, watched", unchanged_watched, "git status", status, "p50 under 10 ms");
  ASSIGN_OR_RETURN(const Distribution edits_watched, Measure(runs, [&] {
                     return TimeOfEditsAndSync(*watching, source.path(), arguments);
                   }));
  PrintTimes("100 edits, watched", edits_watched, "git status", status, "p50 under 30 ms");
  PrintFigure("memory of contree-mcp, both ends, watching", ResidentMegabytes(watching->pid()),
              "MB", "", "under 100 MB");
  return absl::OkStatus();
}

absl::Status BenchSmallFiles(const std::string& program, int runs) {
  const TempDirectory state;
  const TempDirectory source;
  for (int i = 0; i < kSmallFiles; ++i) {
    const std::string directory = absl::StrCat(source.path(), "/", i % 200);
    if (i < 200) std::filesystem::create_directories(directory);
    std::ofstream(absl::StrCat(directory, "/", i)) << std::string(500, 'x') << i << "\n";
  }
  ASSIGN_OR_RETURN(const auto client, StartSession(program, state.path(), true));
  json run = {{"command", "true"}, {"image", "tag:busybox:latest"}};
  const auto time_of_run = [&]() -> absl::StatusOr<absl::Duration> {
    const absl::Time start = absl::Now();
    ASSIGN_OR_RETURN(const json result, Call(*client, "run", run));
    if (result["exit_code"] != 0) return absl::InternalError(result.dump());
    return absl::Now() - start;
  };
  RETURN_IF_ERROR(time_of_run().status());
  ASSIGN_OR_RETURN(const absl::Duration copy,
                   TimeOfProcess({"cp", "-r", source.path(), absl::StrCat(state.path(), "/copy")}));
  const absl::Time start = absl::Now();
  ASSIGN_OR_RETURN(const json synced,
                   Call(*client, "rsync", {{"source", source.path()}, {"destination", "/app"}}));
  const absl::Duration first = absl::Now() - start;
  if (synced["uploaded_files"] != kSmallFiles) return absl::InternalError(synced.dump());
  PrintFigure(
      "first sync of 10,000 small files", absl::ToDoubleMilliseconds(first), "ms",
      absl::StrFormat("%.1f x cp -r (%.0f ms)", first / copy, absl::ToDoubleMilliseconds(copy)),
      "under 5000 ms");
  ASSIGN_OR_RETURN(const Distribution without, Measure(runs, time_of_run));
  run["directory_state_id"] = synced["directory_state_id"];
  ASSIGN_OR_RETURN(const Distribution with, Measure(runs, time_of_run));
  PrintTimes("run true with 10,000 files of a state", with, "run true without", without, "");
  PrintFigure("  added by the state", with.p50 - without.p50, "ms", "", "under 150 ms");
  return absl::OkStatus();
}

// In bytes per second, of one thread and pieces of the size that files are read in.
absl::StatusOr<double> OpensslRate() {
  FILE* output = popen(absl::StrCat("openssl speed -elapsed -evp sha256 -seconds 2 -bytes ",
                                    gateway::kFilePieceBytes, " 2>/dev/null")
                           .c_str(),
                       "r");
  if (output == nullptr) return absl::InternalError("cannot start openssl");
  std::string text;
  char buffer[4096];
  for (size_t size; (size = fread(buffer, 1, sizeof buffer, output)) > 0;)
    text.append(buffer, size);
  pclose(output);
  double thousands = 0;
  const std::vector<std::string> words =
      absl::StrSplit(text, absl::ByAnyChar(" \n"), absl::SkipEmpty());
  if (words.empty() || !absl::SimpleAtod(absl::StripSuffix(words.back(), "k"), &thousands)) {
    return absl::InternalError(absl::StrCat("openssl speed printed: ", text));
  }
  return thousands * 1000;
}

absl::Status BenchHashing(int runs) {
  const TempDirectory source;
  {
    std::ofstream file(source.File("large"));
    const std::string block(1 << 20, 'x');
    for (int64_t i = 0; i < kHashedBytes; i += static_cast<int64_t>(block.size())) file << block;
  }
  ASSIGN_OR_RETURN(gateway::HostSource opened,
                   gateway::Workspace::OfUser().OpenSource(source.path()));
  ASSIGN_OR_RETURN(const auto root, gateway::TreeRoot::Of(std::move(opened)));
  gateway::FileReader reader;
  // Turn by turn, because other work on the machine comes and goes.
  double ours = 0;
  double openssl = 0;
  for (int i = 0; i < std::max(3, runs / 5); ++i) {
    ASSIGN_OR_RETURN(const double rate, OpensslRate());
    openssl = std::max(openssl, rate);
    const absl::Time start = absl::Now();
    if (reader.Hash(*root, {.path = "large"}, {}).outcome !=
        gateway::HashedFile::Outcome::kHashed) {
      return absl::InternalError("the file could not be hashed");
    }
    ours = std::max(ours,
                    static_cast<double>(kHashedBytes) / absl::ToDoubleSeconds(absl::Now() - start));
  }
  PrintFigure(
      "hashing a file, one thread", ours / 1e6, "MB/s",
      absl::StrFormat("%.0f %% of openssl speed (%.0f MB/s)", 100 * ours / openssl, openssl / 1e6),
      "over 80 %");
  return absl::OkStatus();
}

absl::Status Bench(const std::string& program, int runs) {
  RETURN_IF_ERROR(BenchHashing(runs));
  RETURN_IF_ERROR(BenchSmallFiles(program, runs));
  return BenchLargeTree(program, runs);
}

}  // namespace
}  // namespace contree

int main(int argc, char** argv) {
  int runs = 20;
  if (argc < 2 || (argc > 2 && (!absl::SimpleAtoi(argv[2], &runs) || runs < 1))) {
    std::cerr << "usage: " << argv[0] << " PROGRAM [RUNS]" << std::endl;
    return 2;
  }
  const absl::Status status = contree::Bench(argv[1], runs);
  if (!status.ok()) std::cerr << "sync_bench: " << status << std::endl;
  return status.ok() ? 0 : 1;
}
