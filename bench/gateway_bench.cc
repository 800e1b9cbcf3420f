// What MCP itself costs: many small calls over HTTP and stdio, and many that wait.
// Over HTTP the yardstick is a bare cpp-httplib handler that answers as many bytes, loaded in the
// same way in the same run; quote the ratio.
//
//   gateway_bench PROGRAM BARE_HANDLER WRK_SCRIPT [CALLS_OF_THE_SOAK]
//
// The soak looks whether memory grows over many calls; 10000000 of them take some minutes.

#include <signal.h>
#include <sys/resource.h>

#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "bench/load.h"
#include "bench/measurement.h"
#include "common/status/status_macros.h"
#include "common/testing/temp_directory.h"
#include "tests/harness/mcp_http_client.h"
#include "tests/harness/server_process.h"

namespace contree {
namespace {

using bench::HttpCall;
using bench::HttpLoad;
using bench::LineServer;
using bench::LoadHttp;
using bench::OpenRequests;
using bench::PrintFigure;
using bench::ResidentMegabytes;
using nlohmann::json;
using testing_harness::ServerProcess;

constexpr char kTool[] = "get_guide";
constexpr char kArguments[] = R"({"section":"quickstart"})";
constexpr int kWaiting = 1000;
constexpr char kSessionRevision[] = "2025-11-25";
constexpr char kStatelessRevision[] = "2026-07-28";

struct Programs {
  std::string contree_mcp;
  std::string bare_handler;
  std::string wrk_script;
};

int PortOf(const std::string& url) {
  int port = 0;
  const size_t colon = url.rfind(':');
  if (!absl::SimpleAtoi(url.substr(colon + 1, url.find('/', colon) - colon - 1), &port)) return 0;
  return port;
}

// A POST as wrk's script makes it too.
std::string PostOf(absl::string_view method, json params, absl::string_view revision,
                   absl::string_view name = "") {
  std::string headers = absl::StrCat("MCP-Protocol-Version: ", revision, "\r\n");
  if (revision == kStatelessRevision) {
    absl::StrAppend(&headers, "Mcp-Method: ", method, "\r\n");
    if (!name.empty()) absl::StrAppend(&headers, "Mcp-Name: ", name, "\r\n");
    params["_meta"] = {{"io.modelcontextprotocol/protocolVersion", revision},
                       {"io.modelcontextprotocol/clientCapabilities", json::object()}};
  }
  const std::string body =
      json({{"jsonrpc", "2.0"}, {"id", 1}, {"method", method}, {"params", std::move(params)}})
          .dump();
  return absl::StrCat(
      "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
      "Accept: application/json, text/event-stream\r\n",
      headers, "Content-Length: ", body.size(), "\r\n\r\n", body);
}

// One line: a load beside that on the bare handler.
absl::Status BenchHttpCalls(const HttpCall& call, const std::string& url, pid_t pid,
                            const std::string& bare_url, int connections) {
  // A first second that does not count, for each.
  for (const absl::Duration duration : {absl::Seconds(1), absl::Seconds(5)}) {
    ASSIGN_OR_RETURN(const HttpLoad yardstick, LoadHttp(call, bare_url, connections, duration));
    const absl::Duration cpu_before = bench::ProcessorTime(pid);
    ASSIGN_OR_RETURN(const HttpLoad load, LoadHttp(call, url, connections, duration));
    if (load.errors != 0) {
      return absl::InternalError(absl::StrCat(load.errors, " of the calls over HTTP failed"));
    }
    if (duration == absl::Seconds(1)) continue;
    const double cpu_us = absl::ToDoubleMicroseconds(bench::ProcessorTime(pid) - cpu_before) /
                          (load.calls_per_second * absl::ToDoubleSeconds(duration));
    PrintFigure(absl::StrCat("tools/call get_guide, HTTP, ", call.revision, ", ", connections,
                             " connections"),
                load.calls_per_second, "calls/s",
                absl::StrFormat("%.0f %% of a bare cpp-httplib handler (%.0f/s); p50 %.2f ms, p99 "
                                "%.2f ms (bare %.2f), %.0f us of CPU a call",
                                100 * load.calls_per_second / yardstick.calls_per_second,
                                yardstick.calls_per_second, load.p50_ms, load.p99_ms,
                                yardstick.p99_ms, cpu_us),
                connections == 64 ? "p99 under 5 ms" : "over 60 %");
  }
  return absl::OkStatus();
}

// An operation that runs for as long as a benchmark may take; its id.
absl::StatusOr<std::string> StartOperation(testing_harness::McpHttpClient& client) {
  ASSIGN_OR_RETURN(const json started, client.CallTool("run", {{"command", "sleep 600"},
                                                               {"image", "tag:busybox:latest"},
                                                               {"timeout", 900},
                                                               {"wait", false}}));
  const std::string id = started["structuredContent"].value("operation_id", "");
  if (id.empty()) return absl::InternalError(started.dump());
  return id;
}

// What a thousand open requests cost while nothing happens, as one line.
void PrintIdle(absl::string_view what, pid_t pid, double megabytes_before) {
  const absl::Duration cpu_before = bench::ProcessorTime(pid);
  const absl::Time idle_from = absl::Now();
  absl::SleepFor(absl::Seconds(3));
  const double busy =
      100 * absl::FDivDuration(bench::ProcessorTime(pid) - cpu_before, absl::Now() - idle_from);
  PrintFigure(what, ResidentMegabytes(pid), "MB resident",
              absl::StrFormat("%.1f MB before; %.1f %% of a core while nothing happens",
                              megabytes_before, busy),
              "under 150 MB");
}

absl::Status BenchWaiting(testing_harness::McpHttpClient& client, int port, pid_t pid) {
  ASSIGN_OR_RETURN(const std::string id, StartOperation(client));
  const double before = ResidentMegabytes(pid);
  ASSIGN_OR_RETURN(
      OpenRequests waiting,
      OpenRequests::Send(port, kWaiting,
                         PostOf("tools/call",
                                {{"name", "wait_operations"},
                                 {"arguments", {{"operation_ids", {id}}, {"timeout", 900}}}},
                                kSessionRevision)));
  PrintIdle("1,000 waiting calls", pid, before);
  const absl::Time cancelled_at = absl::Now();
  RETURN_IF_ERROR(client.CallTool("cancel_operation", {{"operation_id", id}}).status());
  const int answered = waiting.WaitForFirstBytes(absl::Seconds(60));
  if (answered != kWaiting) {
    return absl::InternalError(
        absl::StrCat("only ", answered, " of ", kWaiting, " waiting calls were answered"));
  }
  PrintFigure("all 1,000 answered after the operation ended",
              absl::ToDoubleMilliseconds(absl::Now() - cancelled_at), "ms", "", "");
  return absl::OkStatus();
}

absl::Status BenchSubscriptions(testing_harness::McpHttpClient& client, int port, pid_t pid) {
  ASSIGN_OR_RETURN(const std::string id, StartOperation(client));
  const std::string uri = absl::StrCat("contree://operations/instance/", id);
  const double before = ResidentMegabytes(pid);
  ASSIGN_OR_RETURN(
      OpenRequests subscriptions,
      OpenRequests::Send(
          port, kWaiting,
          PostOf("subscriptions/listen", {{"notifications", {{"resourceSubscriptions", {uri}}}}},
                 kStatelessRevision)));
  int told =
      subscriptions.WaitForText("notifications/subscriptions/acknowledged", absl::Seconds(60));
  if (told != kWaiting) {
    return absl::InternalError(
        absl::StrCat("only ", told, " of ", kWaiting, " subscriptions were acknowledged"));
  }
  PrintIdle("1,000 open subscriptions", pid, before);
  const absl::Time cancelled_at = absl::Now();
  RETURN_IF_ERROR(client.CallTool("cancel_operation", {{"operation_id", id}}).status());
  told = subscriptions.WaitForText("notifications/resources/updated", absl::Seconds(60));
  if (told != kWaiting) {
    return absl::InternalError(
        absl::StrCat("only ", told, " of ", kWaiting, " subscriptions were told of the change"));
  }
  PrintFigure("all 1,000 told of the operation's end",
              absl::ToDoubleMilliseconds(absl::Now() - cancelled_at), "ms", "", "");
  return absl::OkStatus();
}

absl::Status BenchHttp(const Programs& programs, size_t answer_bytes) {
  const TempDirectory state;
  ASSIGN_OR_RETURN(const auto server,
                   ServerProcess::Start({programs.contree_mcp, "--local", "--mode", "http",
                                         "--http-port", "0", "--state-dir", state.path()}));
  ASSIGN_OR_RETURN(const std::string url, server->WaitForLogField("mcp"));
  {
    ASSIGN_OR_RETURN(const auto bare,
                     ServerProcess::Start({programs.bare_handler, std::to_string(answer_bytes)}));
    ASSIGN_OR_RETURN(const std::string bare_url, bare->WaitForLogField("url"));
    for (const char* revision : {kSessionRevision, kStatelessRevision}) {
      const HttpCall call{programs.wrk_script, revision, kTool, kArguments};
      for (const int connections : {16, 64}) {
        RETURN_IF_ERROR(BenchHttpCalls(call, url, server->pid(), bare_url, connections));
      }
    }
  }
  testing_harness::McpHttpClient client(url);
  RETURN_IF_ERROR(BenchWaiting(client, PortOf(url), server->pid()));
  RETURN_IF_ERROR(BenchSubscriptions(client, PortOf(url), server->pid()));
  server->Signal(SIGTERM);
  return server->Wait().status();
}

// Whether many calls make it slower or larger: the first and the last twentieth are compared.
absl::Status Soak(LineServer& server, const std::string& call, int64_t calls) {
  constexpr int kParts = 20;
  double first_rate = 0;
  double last_rate = 0;
  double first_megabytes = 0;
  for (int part = 0; part < kParts; ++part) {
    const absl::Time start = absl::Now();
    RETURN_IF_ERROR(server.AskMany(call, calls / kParts, 16));
    last_rate = static_cast<double>(calls / kParts) / absl::ToDoubleSeconds(absl::Now() - start);
    if (part > 0) continue;
    first_rate = last_rate;
    first_megabytes = ResidentMegabytes(server.pid());
  }
  PrintFigure(absl::StrCat("resident memory gained in ", calls, " calls"),
              ResidentMegabytes(server.pid()) - first_megabytes, "MB",
              absl::StrFormat("of %.1f MB; the last twentieth at %.0f/s, the first at %.0f/s",
                              first_megabytes, last_rate, first_rate),
              "flat");
  return absl::OkStatus();
}

absl::StatusOr<size_t> BenchStdio(const Programs& programs, int64_t soak_calls) {
  const TempDirectory state;
  ASSIGN_OR_RETURN(const auto server, LineServer::Start({programs.contree_mcp, "--local", "--mode",
                                                         "stdio", "--state-dir", state.path()}));
  RETURN_IF_ERROR(
      server
          ->Ask(
              R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}})"
              "\n")
          .status());
  const std::string ping = R"("method":"ping"})";
  const std::string call = absl::StrCat(R"("method":"tools/call","params":{"name":")", kTool,
                                        R"(","arguments":)", kArguments, "}}");
  ASSIGN_OR_RETURN(const std::string answer,
                   server->Ask(absl::StrCat(R"({"jsonrpc":"2.0","id":0,)", call, "\n")));
  if (answer.find("\"result\"") == std::string::npos ||
      answer.find("\"isError\":true") != std::string::npos) {
    return absl::InternalError(answer);
  }
  struct Case {
    const char* what;
    const std::string& request;
  };
  for (const Case& c : {Case{"ping, stdio, 16 in flight", ping},
                        Case{"tools/call get_guide, stdio, 16 in flight", call}}) {
    constexpr int kCalls = 200'000;
    RETURN_IF_ERROR(server->AskMany(c.request, kCalls / 20, 16));
    const absl::Time start = absl::Now();
    RETURN_IF_ERROR(server->AskMany(c.request, kCalls, 16));
    PrintFigure(c.what, kCalls / absl::ToDoubleSeconds(absl::Now() - start), "calls/s", "",
                "over 60000");
  }
  RETURN_IF_ERROR(Soak(*server, call, soak_calls));
  return answer.size();
}

absl::Status Bench(const Programs& programs, int64_t soak_calls) {
  // 2,000 connections at once.
  rlimit files = {};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  ASSIGN_OR_RETURN(const size_t answer_bytes, BenchStdio(programs, soak_calls));
  return BenchHttp(programs, answer_bytes);
}

}  // namespace
}  // namespace contree

int main(int argc, char** argv) {
  int64_t soak_calls = 500'000;
  if (argc < 4 || argc > 5 || (argc == 5 && !absl::SimpleAtoi(argv[4], &soak_calls))) {
    std::cerr << "usage: " << argv[0] << " PROGRAM BARE_HANDLER WRK_SCRIPT [CALLS_OF_THE_SOAK]"
              << std::endl;
    return 2;
  }
  const absl::Status status = contree::Bench({argv[1], argv[2], argv[3]}, soak_calls);
  if (!status.ok()) std::cerr << "gateway_bench: " << status << std::endl;
  return status.ok() ? 0 : 1;
}
